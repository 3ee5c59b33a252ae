# The zfec program in small, 6 of 9, for Debian packages its library only.
#	peer.py split DIR <data		nine shares, DIR/0 to DIR/8
#	peer.py join DIR >data		from DIR/3 to DIR/8; padded at its end
import sys

import zfec

K, N, LEN = 6, 9, 65536

files = [sys.argv[2] + "/%d" % i for i in range(N)]
if sys.argv[1] == "split":
    code = zfec.Encoder(K, N)
    out = [open(f, "wb") for f in files]
    while True:
        data = sys.stdin.buffer.read(K * LEN)
        if not data:
            break
        data = data.ljust(K * LEN, b"\0")
        blocks = [data[i * LEN:(i + 1) * LEN] for i in range(K)]
        for f, block in zip(out, code.encode(blocks)):
            f.write(block)
else:
    code = zfec.Decoder(K, N)
    src = [open(f, "rb") for f in files[N - K:]]
    while True:
        blocks = [f.read(LEN) for f in src]
        if not blocks[0]:
            break
        for block in code.decode(blocks, list(range(N - K, N))):
            sys.stdout.buffer.write(block)
