"""
gen.py: make the vectors of this directory anew.

	/usr/bin/python3 gen.py

Every vector states by hand what it should come to: the statuses, the released
bytes and the fragments that repair makes, which are those the encoder made.
gefrag_ref.py is then asked, and has to agree; what is written is therefore the
opinion of both.  The output depends on nothing but these two files.
"""

import base64
import os
import re
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import \
    Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import gefrag_ref as ref
from gefrag_ref import H, Set, X25519PrivateKey, frag_name, le32, \
    raw_public, serialization, sign_manifest

HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = {}                                    # name -> text


# Writing ----------------------------------------------------------------

def emit(name, lines, files):
    assert name not in VECTORS, name
    assert re.fullmatch(r"(ok|bad)-[a-z0-9-]+", name), name
    text = "".join(x + "\n" for x in lines)
    for path in sorted(files):
        text += "file: %s\n" % path
        b64 = base64.b64encode(files[path]).decode()
        for at in range(0, len(b64), 76):
            text += " %s\n" % b64[at:at + 76]
    VECTORS[name] = text


def vec(name, note, files, join, verify, repair, out=b"", made={}, blind=None,
        true=None, tar=False, **pins):
    """
    A join vector.  join, verify, repair: the statuses meant; out: the bytes
    released; made: what repair makes; blind: status and what blind repair
    makes; true: the true sequence, where any whole-segment prefix of it may
    be released; pins: set, digest, manifest, signer, identity, passphrase.
    """
    files = dict(files)
    lines = ["name: " + name, "op: join",
             "input: " + ("tar" if tar else "files")]
    tail = []
    for key, value in pins.items():
        if key in ("set", "digest"):
            value = value.hex()
        elif key == "manifest":
            files["pinned-manifest"], value = value, "pinned-manifest"
        elif key == "signer":
            files["signer.pem"], value = public_pem(value), "signer.pem"
        elif key == "identity":
            files["identity.pem"], value = private_pem(value), "identity.pem"
        tail.append("%s: %s" % (key, value))
    keys = ref.read_expect("\n".join(lines + tail))
    given, rpins, secret = ref.inputs(keys, files)

    status, released, why = ref.join(given, rpins, secret)
    assert status == join, (name, "join", status, why)
    assert released == out, (name, "output", len(released), len(out))
    status, why = ref.verify(given, rpins)
    assert status == verify, (name, "verify", status, why)
    status, built, why = ref.repair(given, rpins)
    assert status == repair, (name, "repair", status, why)
    assert built == made, (name, "repair", sorted(built), sorted(made))
    assert (join != 0) == name.startswith("bad-"), name

    lines += ["join: %d" % join, "output_sha256: " + H(out).hex(),
              "output_length: %d" % len(out),
              "output: " + ("exact" if true is None else "prefix"),
              "verify: %d" % verify, "repair: %d" % repair]
    lines += ["repair_file: %s %s" % (x, H(made[x]).hex())
              for x in sorted(made)]
    if blind is not None:
        status, built, why = ref.repair(given, rpins, True)
        assert (status, built) == blind, (name, "blind", status, why,
                                          sorted(built))
        lines += ["repair_blind: %d" % blind[0]]
        lines += ["repair_blind_file: %s %s" % (x, H(built[x]).hex())
                  for x in sorted(built)]
    if true is not None:
        assert true.startswith(out)
        files["output"] = true
    emit(name, lines + tail + ["note: " + note], files)


def vec_frag(name, note, data, seed, k, n, stripes=1, mode="encrypted",
             recipients=(), passphrase=None):
    made, digest = ref.frag(data, seed.encode(), k, n, 4096, stripes, mode,
                            [raw_public(x.public_key()) for x in recipients],
                            passphrase and passphrase.encode())
    lines = ["name: " + name, "op: frag", "seed: " + seed, "k: %d" % k,
             "n: %d" % n, "block: 4096", "stripes: %d" % stripes,
             "mode: " + mode, "set_digest: " + digest.hex()]
    lines += ["frag_file: %s %s" % (x, H(made[x]).hex())
              for x in sorted(made)]
    if recipients:
        lines += ["recipients: %d" % len(recipients)]
    if passphrase:
        lines += ["passphrase: " + passphrase]
    files = {"recipient%d.pem" % i: public_pem(raw_public(x.public_key()),
                                               True)
             for i, x in enumerate(recipients)}
    emit(name, lines + ["note: " + note], {"input": data, **files})
    # The way back, from parities as far as they go.
    back = [x for x in made.items() if not x[0].endswith("manifest") and
            int(x[0].split(".")[1]) >= n - k]
    got = ref.join(back, {"set": bytes.fromhex(back[0][0][:32])},
                   {"identity": recipients[-1:],
                    **({"passphrase": passphrase.encode()} if passphrase
                       else {})})
    assert got[:2] == (0, data), (name, got[2])


# Material ---------------------------------------------------------------

def public_pem(raw, x25519=False):
    kind = ref.X25519PublicKey if x25519 else ref.Ed25519PublicKey
    return kind.from_public_bytes(raw).public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM,
                             serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def ed_key(label):
    return Ed25519PrivateKey.from_private_bytes(H(b"ed25519 " + label))


def x_key(label):
    return X25519PrivateKey.from_private_bytes(H(b"x25519 " + label))


def x_pub(key):
    return ("x25519", raw_public(key.public_key()))


def noise(size, label=b"noise"):
    return ref.TestRandom(label).take(size)


def lines_of(number, size):
    """Text that deflates well, another for each number."""
    return (b"segment %d. " % number * (size // 11 + 1))[:size]


class Bits:
    def __init__(self):
        self.value, self.count = 0, 0

    def put(self, value, count):
        self.value |= value << self.count
        self.count += count

    def code(self, value, count):
        """A Huffman code: most significant bit first."""
        self.put(int(format(value, "0%db" % count)[::-1], 2), count)

    def bytes(self):
        return self.value.to_bytes((self.count + 7) // 8, "little")


LENGTHS = [(3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0),
           (11, 1), (13, 1), (15, 1), (17, 1), (19, 2), (23, 2), (27, 2),
           (31, 2), (35, 3), (43, 3), (51, 3), (59, 3), (67, 4), (83, 4),
           (99, 4), (115, 4), (131, 5), (163, 5), (195, 5), (227, 5),
           (258, 0)]


def deflate(data, final=True, period=11, tail=False):
    """RFC 1951 with fixed codes; matches at one distance, 9..12; tail: an
    empty final block behind it."""
    bits = Bits()
    bits.put(int(final), 1)
    bits.put(1, 2)

    def literal(x):
        if x < 144:
            bits.code(0x30 + x, 8)
        elif x < 256:
            bits.code(0x190 + x - 144, 9)
        elif x < 280:
            bits.code(x - 256, 7)
        else:
            bits.code(0xc0 + x - 280, 8)

    at = 0
    while at < len(data):
        run = 0
        while at >= period and run < 258 and at + run < len(data) and \
                data[at + run] == data[at + run - period]:
            run += 1
        if run < 3:
            literal(data[at])
            at += 1
            continue
        sym = max(i for i, x in enumerate(LENGTHS) if x[0] <= run)
        literal(257 + sym)
        bits.put(run - LENGTHS[sym][0], LENGTHS[sym][1])
        bits.code(6, 5)                         # distances 9..12
        bits.put(period - 9, 2)
        at += run
    literal(256)
    if tail:
        bits.put(3, 3)                          # final, fixed codes
        literal(256)
    return bits.bytes()


def take(s, *indices, segs=None, epoch=0, prefix=""):
    """Files in/NAME of these fragments of the set, of all or some segments."""
    out = {}
    for number in (range(len(s.segs)) if segs is None else segs):
        for i in indices:
            seg = s.segs[number]
            out["in/%s%s" % (prefix, frag_name(seg.f["segment"], i, epoch))] \
                = seg.frag(i, epoch)
    return out


def fixed(s, *items, share=True):
    """What repair should make: items are index, (segment, index) or
    (segment, index, epoch)."""
    out = {}
    for x in items:
        x = (0, x) if isinstance(x, int) else x
        number, i, epoch = (*x, 0)[:3]
        out["%s/%s" % (s.id.hex(), frag_name(number, i, epoch))] = \
            s.segs[number].frag(i, epoch, share)
    return out


def path(i, number=0, epoch=0):
    return "in/" + frag_name(number, i, epoch)


def flip(buf, at, bit=0):
    at %= len(buf)
    return buf[:at] + bytes([buf[at] ^ 1 << bit]) + buf[at + 1:]


def patch(buf, at, new):
    return buf[:at] + new + buf[at + len(new):]


def resum(buf, seg):
    """The checksum made good."""
    end = seg.lay.header if seg.plain else seg.lay.share
    sealed = patch(buf, 60, bytes(4))[:end]
    return patch(buf, 60, le32(ref.crc32c(sealed)))


FIELDS = {"set": (8, 16), "mode": (24, 1), "code": (25, 1), "k": (26, 1),
          "n": (27, 1), "alpha": (28, 2), "w": (30, 2), "B": (32, 4),
          "segment": (36, 4), "offset": (40, 8), "U": (48, 4), "L": (52, 4),
          "flags": (56, 1), "index": (57, 1), "has-share": (58, 1),
          "epoch": (59, 1), "checksum": (60, 4)}


def lied(s, i, field, value, number=0):
    """Fragment i with one field of its header changed, checksum right."""
    at, size = FIELDS[field]
    buf = s.segs[number].frag(i)
    return resum(patch(buf, at, value.to_bytes(size, "little")),
                 s.segs[number])


def fake(label, T, **fields):
    """A plain 1-of-1 header without payload, its checksum right: one that is
    well formed makes a second viable set."""
    f = dict(mode=1, code=1, k=1, n=1, alpha=1, w=0, B=4096, segment=0,
             offset=0, U=1, L=1, flags=1, index=0, share=0, epoch=0)
    f.update(fields)
    buf = ref.MAGIC + H(b"fake " + label)[:16] + struct.pack(
        "<BBBBHHIIQIIBBBBI", f["mode"], f["code"], f["k"], f["n"], f["alpha"],
        f["w"], f["B"], f["segment"], f["offset"], f["U"], f["L"], f["flags"],
        f["index"], f["share"], f["epoch"], 0)
    buf += bytes(96 * f["w"] + 32 * max(f["n"], 1) * T)
    return patch(buf, 60, le32(ref.crc32c(buf)))


TEXT = b"nine hosts, any six of them, and nothing lost\n"
TINY = Set(TEXT, b"tiny")
OTHER = Set(b"another input altogether\n", b"other")
THIRD = Set(b"a third one\n", b"third")
FIVE = Set(TEXT, b"five", 3, 5)
FOUR = Set(TEXT, b"four", 2, 4)
SIGNER, STRANGER = ed_key(b"signer"), ed_key(b"stranger")
PUB, PUB2 = (raw_public(x.public_key()) for x in (SIGNER, STRANGER))
ALICE, BOB, EVE = x_key(b"alice"), x_key(b"bob"), x_key(b"eve")

# Three deflated segments, so that many segments take little room.
PARTS = [lines_of(0, 8176), lines_of(1, 8176), lines_of(2, 100)]
THREE = Set(b"".join(PARTS), b"three", deflate=deflate)
# Two stripes and a bit, not deflated.
LONG_TEXT = noise(8176 + 1000)
LONG = Set(LONG_TEXT, b"long", M=2)


# The groups of vectors --------------------------------------------------

def basics():
    vec("ok-tiny", "2-of-3, one stripe, all fragments", take(TINY, 0, 1, 2),
        0, 0, 0, TEXT, blind=(0, {}))
    for i in range(3):
        rest = [x for x in range(3) if x != i]
        vec("ok-any-%d%d" % tuple(rest), "any k fragments are enough",
            take(TINY, *rest), 0, 3, 0, TEXT, fixed(TINY, i),
            blind=(3, fixed(TINY, i, share=False)))
        vec("bad-lost-all-but-%d" % i, "k-1 fragments", take(TINY, i),
            4, 4, 4, blind=(4, {}))
    vec("bad-nothing", "a file that is no fragment",
        {"in/readme": b"nothing here\n"}, 4, 4, 4)
    vec("bad-empty-files", "files of no bytes", {path(0): b"", path(1): b""},
        4, 4, 4)
    s = Set(b"", b"empty")
    vec("ok-empty-input", "zero-length input: one segment, no stripe",
        take(s, 0, 1, 2), 0, 0, 0, blind=(0, {}))
    vec("ok-empty-input-any-k", "zero-length input, k fragments",
        take(s, 1, 2), 0, 3, 0, b"", fixed(s, 0),
        blind=(3, fixed(s, 0, share=False)))
    vec("bad-empty-input-one", "zero-length input still takes k fragments",
        take(s, 1), 4, 4, 4)
    vec("bad-empty-input-shares",
        "zero-length input still takes k shares: two bodies, one share",
        {path(0): s.segs[0].frag(0), path(1): s.segs[0].frag(1, share=False)},
        4, 4, 4)
    p = Set(b"", b"empty plain", mode=1)
    vec("ok-empty-input-plain", "zero-length input in plain mode",
        take(p, 0, 2), 0, 3, 0, b"", fixed(p, 1), blind=(0, fixed(p, 1)))
    for label, size in (("exact", 8176), ("one-less", 8175),
                        ("one-more", 8177)):
        s = Set(noise(size), b"size " + label.encode())
        last = len(s.segs) - 1
        vec("ok-size-" + label, "one stripe a segment, input of %d: %s" %
            (size, "two segments" if last else "one segment"),
            take(s, 0, 2), 0, 3, 0, noise(size),
            fixed(s, *[(x, 1) for x in range(last + 1)]))
    s = Set(noise(1), b"one byte")
    vec("ok-size-one", "one byte of input", take(s, 0, 1, 2), 0, 0, 0,
        noise(1))
    # c(s) around a multiple of 64 k, and a last stripe that holds little
    # more than a tag.
    for size in (111, 112, 113):
        s = Set(noise(size), b"round %d" % size)
        vec("ok-size-%d" % size, "last block size: c = %d" % (size + 16),
            take(s, 1, 2), 0, 3, 0, noise(size), fixed(s, 0))
    s = Set(noise(8176 + 1), b"stripe of one", M=2)
    vec("ok-last-stripe-one-byte", "the last stripe holds one byte",
        take(s, 1, 2), 0, 3, 0, noise(8177), fixed(s, 0))
    vec("ok-long", "two stripes, rebuilt from a parity", take(LONG, 1, 2),
        0, 3, 0, LONG_TEXT, fixed(LONG, 0))
    vec("ok-three-segments", "three deflated segments", take(THREE, 1, 2),
        0, 3, 0, THREE.input, fixed(THREE, (0, 0), (1, 0), (2, 0)),
        blind=(3, fixed(THREE, (0, 0), (1, 0), (2, 0), share=False)))
    s = Set(noise(2 * 8176), b"multiple", M=2)
    vec("ok-exact-multiple",
        "input ends exactly at a segment end: that segment is the last",
        take(s, 0, 1), 0, 3, 0, s.input, fixed(s, 2))
    s = Set(noise(16352 + 300), b"raw segments", M=1)
    vec("ok-raw-segments", "three segments, not deflated",
        take(s, 0, 2), 0, 3, 0, s.input, fixed(s, (0, 1), (1, 1), (2, 1)))
    for k, n, keep in ((6, 9, (0, 2, 4, 6, 7, 8)),
                       (6, 12, (6, 7, 8, 9, 10, 11)),
                       (10, 15, (0, 1, 2, 3, 4, 10, 11, 12, 13, 14)),
                       (2, 2, (0, 1)), (3, 3, (0, 1, 2)),
                       (2, 64, (0, 63)), (2, 64, (62, 63)),
                       (3, 5, (0, 3, 4))):
        s = Set(noise(700), b"code %d %d" % (k, n), k, n)
        gone = [x for x in range(n) if x not in keep]
        vec("ok-%dof%d%s" % (k, n, "" if n < 64 else "-%d" % keep[0]),
            "%d-of-%d from %s" % (k, n, " ".join(map(str, keep))),
            take(s, *keep), 0, 3 if gone else 0, 0, s.input,
            fixed(s, *gone))
        if n == 64:
            continue
        vec("bad-%dof%d" % (k, n), "%d-of-%d, one too few" % (k, n),
            take(s, *keep[1:]), 4, 4, 4)
    s = Set(TEXT, b"big block", B=4194304)
    vec("ok-block-4m", "the largest block size, a short block",
        take(s, 0, 2), 0, 3, 0, TEXT, fixed(s, 1))
    p = Set(noise(9000), b"plain", mode=1, M=2)
    vec("ok-plain", "plain mode", take(p, 0, 2), 0, 3, 0, noise(9000),
        fixed(p, 1), blind=(0, fixed(p, 1)))
    vec("bad-plain-lost", "plain mode, k-1 fragments", take(p, 1), 4, 4, 4)
    p = Set(TEXT, b"plain k1", 1, 3, mode=1)
    vec("ok-plain-k1", "plain replication: every payload is the data",
        take(p, 2), 0, 3, 0, TEXT, fixed(p, 0, 1))
    buf = p.segs[0].frag(0)
    vec("bad-plain-k1-flipped", "the only replica has a wrong bit",
        {path(0): flip(buf, -60)}, 4, 4, 4)
    vec("ok-plain-k1-flipped", "one of two replicas has a wrong bit",
        {path(0): flip(buf, -60), **take(p, 1)}, 0, 3, 0, TEXT,
        fixed(p, 0, 2))
    p = Set(TEXT, b"plain 1 of 1", 1, 1, mode=1)
    vec("ok-plain-1of1", "plain, one fragment in all", take(p, 0), 0, 0, 0,
        TEXT)
    p = Set(TEXT, b"plain flipped", mode=1)
    vec("bad-plain-flipped", "plain mode has no tag: the hash tells",
        {**take(p, 0), path(1): flip(p.segs[0].frag(1), -64)}, 4, 4, 4)


def frags():
    vec_frag("ok-frag-tiny", "the worked example of FORMAT.md",
             b"hello, world\n", "frag tiny", 2, 3)
    vec_frag("ok-frag-segments", "3-of-5, one stripe a segment, two segments",
             noise(12272 + 500), "frag segments", 3, 5)
    vec_frag("ok-frag-stripes", "2-of-3, two stripes a segment, two segments",
             noise(16352 + 8), "frag stripes", 2, 3, 2)
    vec_frag("ok-frag-recipient", "order of random draws with a recipient",
             TEXT, "frag recipient", 2, 3, recipients=[ALICE])
    vec_frag("ok-frag-recipients", "order of random draws with three", TEXT,
             "frag recipients", 2, 3, recipients=[ALICE, BOB, EVE])
    vec_frag("ok-frag-passphrase", "a salt is drawn; log2 N is 18", TEXT,
             "frag passphrase", 2, 3, passphrase="correct horse")
    vec_frag("ok-frag-plain", "plain mode draws a set id only", noise(9000),
             "frag plain", 2, 3, mode="plain")
    vec_frag("ok-frag-plain-k1", "plain replication", TEXT, "frag plain k1",
             1, 3, mode="plain")
    vec_frag("ok-frag-empty", "empty input", b"", "frag empty", 2, 3)
    vec_frag("ok-frag-exact", "exactly one segment", noise(8176),
             "frag exact", 2, 3)
    vec_frag("ok-frag-one-less", "a segment less one byte", noise(8175),
             "frag less", 2, 3)
    vec_frag("ok-frag-one-more", "a segment and one byte", noise(8177),
             "frag more", 2, 3)
    vec_frag("ok-frag-6of9", "6-of-9", noise(3000), "frag 6 9", 6, 9)
    vec_frag("ok-frag-10of15", "10-of-15", noise(3000), "frag 10 15", 10, 15)
    vec_frag("ok-frag-2of64", "2-of-64", TEXT, "frag 2 64", 2, 64)
    vec_frag("ok-frag-64of64", "64-of-64", noise(6000), "frag 64 64", 64, 64)


def headers():
    """Section 3, rule by rule."""
    # Consistent fragments of a kind that may not be: hashes, shares, tags and
    # checksums are all right, and only the rule can stop a reader.
    def rule(name, note, s, *indices, **pins):
        vec("bad-hdr-" + name, note, take(s, *(indices or (0, 1, 2))),
            4, 4, 4, **pins)

    for what, magic in (("version", b"GEFRAG2\n"), ("case", b"gefrag1\n"),
                        ("nul", b"GEFRAG1\0")):
        files = take(TINY, 0, 1, 2)
        vec("bad-hdr-magic-" + what, "another magic: not a fragment",
            {x: resum(patch(y, 0, magic), TINY.segs[0])
             for x, y in files.items()}, 4, 4, 4)
    rule("mode-2", "mode 2, all else consistent", Set(TEXT, b"m2", mode=2))
    rule("mode-255", "mode 255", Set(TEXT, b"m255", mode=255))
    rule("code-0", "code 0", Set(TEXT, b"c0", base={"code": 0}))
    rule("code-2", "code 2", Set(TEXT, b"c2", base={"code": 2}))
    rule("alpha-0", "alpha 0", Set(TEXT, b"a0", lie={"alpha": 0}))
    rule("alpha-2", "alpha 2, blocks laid out so",
         Set(TEXT, b"a2", base={"alpha": 2}))
    rule("alpha-257", "alpha 257: its high byte counts",
         Set(TEXT, b"a256", lie={"alpha": 257}))
    rule("k-1", "k = 1 in encrypted mode", Set(TEXT, b"k1", 1, 3))
    rule("k-0", "k = 0", Set(TEXT, b"k0", lie={"k": 0}))
    rule("k-0-plain", "k = 0 in plain mode",
         Set(TEXT, b"k0p", mode=1, lie={"k": 0}))
    rule("n-65", "n = 65", Set(TEXT, b"n65", 2, 65), 0, 1)
    rule("n-0", "n = 0", Set(TEXT, b"n0", lie={"n": 0}))
    rule("block-2048", "B = 2048", Set(TEXT, b"b2048", B=2048))
    rule("block-8m", "B = 8 MiB", Set(TEXT, b"b8m", B=8388608))
    rule("block-12288", "B no power of two", Set(TEXT, b"b12288", B=12288))
    rule("block-4097", "B = 4097", Set(TEXT, b"b4097", B=4097))
    rule("block-0", "B = 0", Set(TEXT, b"b0", lie={"B": 0}))
    rule("block-2g", "B = 2^31", Set(TEXT, b"b2g", lie={"B": 1 << 31}))
    many = [x_key(b"%d" % i) for i in range(17)]
    rule("w-17", "17 wraps, the last opens",
         Set(TEXT, b"w17", wraps=[x_pub(x) for x in many]), 0, 1,
         identity=many[16])
    rule("w-plain", "a wrap in plain mode",
         Set(TEXT, b"wp", mode=1, wraps=[x_pub(ALICE)]), identity=ALICE)
    rule("w-65535", "65535 wraps said", Set(TEXT, b"wm", lie={"w": 65535}))
    for flag in (4, 8, 128):
        rule("flag-%d" % flag, "flag %d" % flag,
             Set(TEXT, b"f%d" % flag, base={"flags": 1 | flag}))
    vec("bad-hdr-index-n", "the second fragment has index n",
        {**take(TINY, 0), path(1): lied(TINY, 1, "index", 3)}, 4, 4, 4)
    vec("bad-hdr-index-255", "the second fragment has index 255",
        {**take(TINY, 0), path(1): lied(TINY, 1, "index", 255)}, 4, 4, 4)
    for value in (2, 128, 255):
        vec("bad-hdr-has-share-%d" % value, "has share is %d" % value,
            {**take(TINY, 0), path(1): lied(TINY, 1, "has-share", value)},
            4, 4, 4)
    p = Set(TEXT, b"plain fields", mode=1)
    vec("bad-hdr-plain-share", "has share in plain mode",
        {**take(p, 0), path(1): lied(p, 1, "has-share", 1)}, 4, 4, 4)
    vec("bad-hdr-plain-epoch", "an epoch in plain mode",
        {**take(p, 0), path(1): lied(p, 1, "epoch", 1)}, 4, 4, 4)
    rule("u-over", "U > 2^30: had it been taken, inflation would say 5",
         Set(TEXT, b"uo", base={"U": (1 << 30) + 1, "flags": 3}))
    rule("u-max", "U = 2^32 - 1",
         Set(TEXT, b"um", base={"U": (1 << 32) - 1, "flags": 3}))
    rule("l-less", "L < U without the deflate flag",
         Set(TEXT, b"ll", base={"U": len(TEXT) + 1}))
    rule("l-more", "L > U without the deflate flag",
         Set(TEXT, b"lm", base={"U": len(TEXT) - 1}))
    stored = b"\1" + struct.pack("<HH", 10, 0xffff ^ 10) + TEXT[:10]
    rule("l-deflated-more", "deflated, and longer than before; it inflates",
         Set(stored, b"ldm", base={"U": 10, "flags": 3}))
    short = deflate(lines_of(0, 12))
    rule("l-deflated-equal", "deflated, L = U",
         Set(short, b"lde", base={"U": len(short), "flags": 3}))
    rule("l-zero", "deflated, L = 0", Set(b"", b"lz",
                                          base={"U": 7, "flags": 3}))
    rule("l-zero-u-zero", "deflated, L = U = 0",
         Set(b"", b"lzu", base={"flags": 3}))
    rule("u-zero-not-last", "U = 0 in segment 0 without flag 1",
         Set(b"", b"uz", base={"flags": 0}))
    s = Set(PARTS[0], b"uz1", deflate=deflate, cuts=[8176, 0])
    vec("bad-hdr-u-zero-second", "U = 0 in segment 1", take(s, 0, 1, 2),
        4, 4, 4, PARTS[0])
    rule("offset-first", "segment 0 with an offset",
         Set(TEXT, b"of", base={"offset": 1}))
    s = Set(PARTS[0] + PARTS[1], b"oz", deflate=deflate,
            each={1: {"offset": 0}})
    vec("bad-hdr-offset-zero-second", "segment 1 with offset 0",
        take(s, 0, 1, 2), 4, 4, 4, PARTS[0])
    s = Set(PARTS[0] + PARTS[1], b"ob", deflate=deflate,
            each={1: {"offset": (1 << 63) - 8176}})
    vec("bad-hdr-offset-over", "offset + U = 2^63: dropped",
        take(s, 0, 1, 2), 4, 4, 4, PARTS[0])
    s = Set(PARTS[0] + PARTS[1], b"om", deflate=deflate,
            each={1: {"offset": (1 << 63) - 8177}})
    vec("bad-hdr-offset-max", "offset + U = 2^63 - 1: well formed, but wrong",
        take(s, 0, 1, 2), 5, 5, 5, PARTS[0])
    s = Set(PARTS[0] + PARTS[1], b"ow", deflate=deflate,
            each={1: {"offset": (1 << 64) - 1}})
    vec("bad-hdr-offset-wraps", "offset + U wraps around 2^64: dropped",
        take(s, 0, 1, 2), 4, 4, 4, PARTS[0])
    vec("bad-hdr-checksum", "the checksum itself changed, no spare fragment",
        {**take(TINY, 0), path(1): flip(TINY.segs[0].frag(1), 60)}, 4, 4, 4)
    vec("bad-hdr-checksum-zero", "the checksum zero",
        {**take(TINY, 0),
         path(1): patch(TINY.segs[0].frag(1), 60, bytes(4))}, 4, 4, 4)
    vec("bad-hdr-checksum-share",
        "a checksum over the share too is a wrong checksum",
        {**take(TINY, 0), path(1): patch(
            TINY.segs[0].frag(1), 60, le32(ref.crc32c(patch(
                TINY.segs[0].frag(1), 60, bytes(4))[:320])))}, 4, 4, 4)
    vec("ok-hdr-damaged", "a header checksum fails: fragment dropped",
        {**take(TINY, 0, 2), path(1): flip(TINY.segs[0].frag(1), 100)},
        0, 3, 0, TEXT, fixed(TINY, 1))
    buf = TINY.segs[0].frag(1, share=False)
    vec("bad-hdr-share-without", "share bytes where has share is 0",
        {**take(TINY, 0), path(1): patch(buf, 288, b"\1")}, 4, 4, 4)
    vec("bad-hdr-share-without-all",
        "the shares are right, and has share says there are none",
        {path(i): resum(patch(TINY.segs[0].frag(i), 58, b"\0"),
                        TINY.segs[0]) for i in range(3)}, 4, 4, 4)

    # A header field of one fragment changed: a liar among honest ones.
    for field, value in (("k", 1), ("k", 3), ("n", 4), ("mode", 1),
                         ("L", 40), ("U", 40), ("flags", 0), ("flags", 3),
                         ("index", 0), ("index", 2), ("epoch", 1),
                         ("segment", 1), ("offset", 5), ("w", 1),
                         ("B", 8192), ("has-share", 0)):
        vec("ok-lie-%s-%d" % (field.lower(), value),
            "header field '%s' of fragment 1 says %d" % (field, value),
            {**take(TINY, 0, 2), path(1): lied(TINY, 1, field, value)},
            0, 3, 0, TEXT, fixed(TINY, 1), set=TINY.id)
        vec("bad-lie-%s-%d" % (field.lower(), value),
            "the same with no fragment to spare",
            {**take(TINY, 0), path(1): lied(TINY, 1, field, value)},
            4, 4, 4, set=TINY.id)
    vec("ok-lie-set", "the set id of fragment 1 changed",
        {**take(TINY, 0, 2), path(1): lied(TINY, 1, "set", 77)},
        0, 3, 0, TEXT, fixed(TINY, 1), set=TINY.id)
    buf = TINY.segs[0].frag(1)
    for what, at in (("commitment", 64), ("table-own", 96 + 32),
                     ("table-other", 96), ("share-commitment", 192),
                     ("share-commitment-own", 192 + 32)):
        bad = resum(flip(buf, at), TINY.segs[0])
        vec("ok-lie-" + what, "%s changed in fragment 1" % what,
            {**take(TINY, 0, 2), path(1): bad}, 0, 3, 0, TEXT,
            fixed(TINY, 1), set=TINY.id)
        vec("bad-lie-" + what, "the same with no fragment to spare",
            {**take(TINY, 0), path(1): bad}, 4, 4, 4, set=TINY.id)

    # A header beside a good set.  Dropped, it does not matter; taken, it
    # makes a second viable set.
    def beside(name, note, dropped, buf):
        files = {**take(TINY, 0, 1), "in/fake": buf}
        if dropped:
            vec("ok-beside-" + name, note + ": dropped", files, 0, 3, 0,
                TEXT, fixed(TINY, 2))
        else:
            vec("bad-beside-" + name, note + ": a second set", files, 5, 5, 5)

    beside("plain", "a well-formed plain header", False, fake(b"0", 1))
    beside("stripes-1024", "T = 1024", False,
           fake(b"1", 1024, U=1 << 22, L=1 << 22))
    beside("stripes-1025", "T = 1025", True,
           fake(b"2", 1025, U=(1 << 22) + 1, L=(1 << 22) + 1))
    beside("u-1g", "U = 2^30", False,
           fake(b"3", 256, B=1 << 22, U=1 << 30, L=1 << 30))
    beside("u-over-1g", "U = 2^30 + 1", True,
           fake(b"4", 257, B=1 << 22, U=(1 << 30) + 1, L=(1 << 30) + 1))
    beside("n-64", "n = 64", False, fake(b"5", 1, n=64))
    beside("n-65", "n = 65", True, fake(b"6", 1, n=65))
    beside("k-over-n", "k = 2, n = 1", True, fake(b"7", 1, k=2))
    beside("k-0", "k = 0", True, fake(b"8", 1, k=0))
    beside("k-0-n-0", "k = n = 0", True, fake(b"9", 1, k=0, n=0))
    beside("w-1", "a wrap in plain mode", True, fake(b"10", 1, w=1))
    beside("segment-max", "segment 2^32 - 1", False,
           fake(b"11", 1, segment=(1 << 32) - 1, offset=5, flags=0))
    beside("offset-max", "offset + U = 2^63 - 1", False,
           fake(b"12", 1, segment=9, offset=(1 << 63) - 2))
    beside("offset-over", "offset + U = 2^63", True,
           fake(b"13", 1, segment=9, offset=(1 << 63) - 1))
    beside("block-4096", "B = 4096", False, fake(b"14", 1, B=4096))
    beside("block-2048", "B = 2048", True, fake(b"15", 1, B=2048))
    beside("block-4m", "B = 4 MiB", False, fake(b"16", 1, B=1 << 22))
    beside("block-8m", "B = 8 MiB", True, fake(b"17", 1, B=1 << 23))
    beside("l-0-flag-2", "L = 0 with flag 2", True,
           fake(b"18", 0, L=0, flags=3))
    beside("deflated", "L = U - 1 with flag 2", False,
           fake(b"19", 1, U=2, L=1, flags=3))
    beside("u-0", "U = 0 in the last segment 0", False,
           fake(b"20", 0, U=0, L=0))
    beside("u-0-flags-0", "U = 0 without flag 1", True,
           fake(b"21", 0, U=0, L=0, flags=0))
    beside("offset-0-segment-1", "segment 1 at offset 0", True,
           fake(b"22", 1, segment=1))
    beside("offset-1-segment-0", "segment 0 at offset 1", True,
           fake(b"23", 1, offset=1))
    beside("header-cut", "a header cut by one byte", True,
           fake(b"24", 1)[:-1])
    two = Set(TEXT, b"index beside")
    vec("ok-beside-index-n", "indices 0 and n of another set: not two",
        {**take(TINY, 0, 1), **take(two, 0, prefix="x"),
         "in/x1": lied(two, 1, "index", 3)}, 0, 3, 0, TEXT, fixed(TINY, 2))
    over = Set(TEXT, b"k over n", setid=TINY.id, lie={"k": 4})
    vec("ok-hdr-k-over-n", "two fragments that say k > n do not count against "
        "the honest two", {**take(TINY, 0, 1), **take(over, 0, 1, prefix="x")},
        0, 3, 0, TEXT, fixed(TINY, 2), set=TINY.id)
    # Two that agree on another header, and fail: they have no vote either.
    seg = Set(b"lies\n", b"no vote", setid=TINY.id).segs[0]
    vec("ok-hdr-cut-no-vote", "two of another header, cut in the share: they "
        "do not count against the honest two",
        {**take(TINY, 0, 1), "in/x": seg.frag(0)[:300],
         "in/y": seg.frag(1)[:319]}, 0, 3, 0, TEXT, fixed(TINY, 2))
    vec("ok-hdr-share-without-no-vote", "two of another header, with share "
        "bytes and no share: nor do they",
        {**take(TINY, 0, 1),
         **{"in/x%d" % i: patch(seg.frag(i, share=False), 319, b"\1")
            for i in (0, 1)}}, 0, 3, 0, TEXT, fixed(TINY, 2))
    vec("bad-hdr-share-less-vote", "two of another header without a share, "
        "the share zero: they count",
        {**take(TINY, 0, 1), **{"in/x%d" % i: seg.frag(i, share=False)
                                for i in (0, 1)}}, 5, 5, 5)


def wraps():
    """Section 5.3."""
    def raw(seed, edit=lambda x: x, key=ALICE):
        """An x25519 wrap that opens, with reserved bytes edited."""
        rng = ref.TestRandom(seed)
        setid, krcp = rng.take(16), rng.take(32)
        return ("raw", edit(ref.wrap_x25519(krcp, setid, x_pub(key)[1],
                                            H(b"ephemeral"))))

    s = Set(TEXT, b"one recipient", wraps=[x_pub(ALICE)])
    both = Set(TEXT, b"two recipients", wraps=[x_pub(ALICE), x_pub(BOB)])
    full = take(s, 0, 1, 2)
    vec("ok-recipient", "one X25519 recipient", take(s, 1, 2), 0, 3, 0, TEXT,
        fixed(s, 0), identity=ALICE, blind=(3, fixed(s, 0, share=False)))
    vec("ok-recipient-first", "first of two", take(both, 0, 2), 0, 3, 0,
        TEXT, fixed(both, 1), identity=ALICE)
    vec("ok-recipient-second", "second of two", take(both, 0, 2), 0, 3, 0,
        TEXT, fixed(both, 1), identity=BOB)
    vec("bad-recipient-none", "k fragments but no key", full, 5, 0, 0)
    vec("bad-recipient-wrong", "another identity", full, 5, 0, 0,
        identity=EVE)
    vec("bad-recipient-passphrase", "a passphrase where a key is needed",
        full, 5, 0, 0, passphrase="correct horse")
    vec("bad-recipient-lost", "the key, but k-1 fragments", take(s, 2),
        4, 4, 4, identity=ALICE)
    vec("ok-recipient-unneeded", "an identity that nothing asks for",
        take(TINY, 0, 1, 2), 0, 0, 0, TEXT, identity=ALICE)
    many = [x_key(b"%d" % i) for i in range(16)]
    s16 = Set(TEXT, b"w16", wraps=[x_pub(x) for x in many])
    vec("ok-recipients-16", "last of sixteen", take(s16, 0, 1), 0, 3, 0, TEXT,
        fixed(s16, 2), identity=many[15])
    segs = Set(THREE.input, b"wrapped segments", wraps=[x_pub(ALICE)],
               deflate=deflate)
    vec("ok-recipient-segments", "one unwrap serves three segments",
        take(segs, 1, 2), 0, 3, 0, segs.input,
        fixed(segs, (0, 0), (1, 0), (2, 0)), identity=ALICE)
    empty = Set(b"", b"wrapped empty", wraps=[x_pub(ALICE)])
    vec("bad-recipient-empty", "empty input too is refused without the key",
        take(empty, 0, 1, 2), 5, 0, 0, identity=EVE)
    vec("ok-recipient-empty", "empty input with the key",
        take(empty, 0, 1, 2), 0, 0, 0, identity=ALICE)
    for what, at in (("enc", 64 + 16), ("sealed", 64 + 48), ("tag", 64 + 95)):
        bad = Set(TEXT, b"wrap " + what.encode(), wraps=[
            raw(b"wrap " + what.encode(), lambda x: flip(x, at - 64))])
        vec("bad-wrap-" + what, "the %s of the wrap is wrong" % what,
            take(bad, 0, 1, 2), 5, 0, 0, identity=ALICE)
    low = {"zero": bytes(32), "one": b"\1" + bytes(31),
           "order-8": bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46a"
                                    "da098deb9c32b1fd866205165f49b800")}
    for what, point in low.items():
        seed = b"low " + what.encode()
        rng = ref.TestRandom(seed)
        setid, krcp = rng.take(16), rng.take(32)
        key, nonce = ref.hpke_key(bytes(32), point, x_pub(ALICE)[1],
                                  ref.wrap_info(setid))
        wrap = b"\1" + bytes(15) + point + \
            ref.AESGCM(key).encrypt(nonce, krcp, b"")
        bad = Set(TEXT, seed, wraps=[("raw", wrap)])
        vec("bad-wrap-point-" + what,
            "X25519 result zero: anyone could have sealed it, so it does not "
            "open", take(bad, 0, 1, 2), 5, 0, 0, identity=ALICE)
        seed += b" first"
        rng = ref.TestRandom(seed)
        good = Set(TEXT, seed, wraps=[("raw", wrap), raw(seed)])
        vec("ok-wrap-point-%s-first" % what,
            "such a wrap, then one that opens", take(good, 0, 1, 2), 0, 0, 0,
            TEXT, identity=ALICE)

    def rule(name, note, wrap, **keys):
        seed = b"wr " + name.encode()
        bad = Set(TEXT, seed, wraps=[wrap(seed)])
        vec("bad-wrap-" + name, note, take(bad, 0, 1, 2), 4, 4, 4, **keys)

    for at in (1, 2, 8, 15):
        rule("reserved-%d" % at, "byte %d of an X25519 wrap not zero" % at,
             lambda seed: raw(seed, lambda x: patch(x, at, b"\1")),
             identity=ALICE)
    for kind in (0, 3, 255):
        rule("type-%d" % kind, "wrap of type %d" % kind,
             lambda seed: raw(seed, lambda x: patch(x, 0, bytes([kind]))),
             identity=ALICE)
    word = "correct horse"
    phrase = ("passphrase", word.encode(), 10)
    s = Set(TEXT, b"passphrase", wraps=[phrase])
    vec("ok-passphrase", "scrypt, log2 N 10", take(s, 0, 2), 0, 3, 0, TEXT,
        fixed(s, 1), passphrase=word)
    for what, bad in (("space", word + " "), ("case", "Correct horse"),
                      ("short", word[:-1])):
        vec("bad-passphrase-" + what, "wrong passphrase; verify and repair "
            "need none", take(s, 0, 2), 5, 3, 0, b"", fixed(s, 1),
            passphrase=bad)
    vec("bad-passphrase-none", "no passphrase", take(s, 0, 1, 2), 5, 0, 0)
    vec("bad-passphrase-identity", "an identity where a passphrase is needed",
        take(s, 0, 1, 2), 5, 0, 0, identity=ALICE)
    s = Set(TEXT, b"passphrase 12", wraps=[("passphrase", word.encode(), 12)])
    vec("ok-passphrase-12", "log2 N 12", take(s, 0, 1), 0, 3, 0, TEXT,
        fixed(s, 2), passphrase=word)
    rule("logn-9", "log2 N 9; the passphrase would open it",
         lambda seed: ("passphrase", word.encode(), 9), passphrase=word)
    for logn in (0, 21, 255):
        rule("logn-%d" % logn, "log2 N %d" % logn,
             lambda seed: ("raw", b"\2" + bytes([logn]) + bytes(14) +
                           noise(80)), passphrase=word)

    def sealed(seed, at):
        rng = ref.TestRandom(seed)
        setid, krcp = rng.take(16), rng.take(32)
        return ("raw", patch(ref.wrap_passphrase(
            krcp, setid, word.encode(), noise(32), 10), at, b"\1"))

    for at in (2, 15):
        rule("phrase-reserved-%d" % at,
             "byte %d of a passphrase wrap not zero" % at,
             lambda seed: sealed(seed, at), passphrase=word)
    seed = b"type 3 phrase"
    s = Set(TEXT, seed, wraps=[("raw", patch(sealed(seed, 2)[1], 0,
                                             b"\3\x0a\0"))])
    vec("bad-wrap-type-3-phrase", "a passphrase wrap that says type 3",
        take(s, 0, 1, 2), 4, 4, 4, passphrase=word)
    s = Set(TEXT, b"mixed wraps", wraps=[phrase, x_pub(ALICE)])
    vec("bad-wrap-phrase-and-key", "a passphrase and a recipient",
        take(s, 0, 1, 2), 4, 4, 4, identity=ALICE)
    s = Set(TEXT, b"mixed wraps", wraps=[x_pub(ALICE), phrase])
    vec("bad-wrap-key-and-phrase", "a recipient and a passphrase",
        take(s, 0, 1, 2), 4, 4, 4, passphrase=word)
    s = Set(TEXT, b"phrases", wraps=[phrase, phrase])
    vec("bad-wrap-two-phrases", "two passphrases", take(s, 0, 1, 2), 4, 4, 4,
        passphrase=word)
    # K_rcp of the wrap is not the one the key was made with.
    s = Set(TEXT, b"other K_rcp", wraps=[
        ("raw", ref.wrap_x25519(H(b"not it"), ref.TestRandom(
            b"other K_rcp").take(16), x_pub(ALICE)[1], H(b"eph")))])
    vec("bad-wrap-other-key", "the wrap opens to a key that does not fit the "
        "key commitment", take(s, 0, 1, 2), 5, 0, 0, identity=ALICE)


def damage():
    """Bits flipped, files cut, files grown."""
    buf = TINY.segs[0].frag(1)
    for at in (0, 7, 8, 23, 24, 25, 26, 27, 28, 30, 32, 36, 40, 47, 48, 52,
               56, 57, 58, 59, 63, 64, 95, 96, 128, 191, 192, 256, 287):
        vec("bad-flip-hdr-%03d" % at, "a bit of byte %d of the header" % at,
            {**take(TINY, 0), path(1): flip(buf, at, at % 8)}, 4, 4, 4)
    for at in (288, 303, 319):
        vec("bad-flip-share-%03d" % at, "a bit of the share: outside the "
            "checksum, but not its commitment", {
                **take(TINY, 0), path(1): flip(buf, at, at % 8)}, 4, 4, 4)
    for at in (320, 321, 350, 382, 383):
        vec("bad-flip-payload-%03d" % at, "a bit of the payload",
            {**take(TINY, 0), path(1): flip(buf, at, at % 8)}, 4, 4, 4)
        vec("ok-flip-payload-%03d" % at, "a bit of the payload, and a spare",
            {**take(TINY, 0, 2), path(1): flip(buf, at, at % 8)}, 0, 3, 0,
            TEXT, fixed(TINY, 1))
    vec("ok-flip-share", "a bit of a share, and a spare fragment",
        {**take(TINY, 0, 2), path(1): flip(buf, 300)}, 0, 3, 0, TEXT,
        fixed(TINY, 1))
    vec("bad-flip-padding", "a bit in the zeros behind the last data block: "
        "the block is wrong",
        {**take(TINY, 0), path(1): flip(buf, 383, 7)}, 4, 4, 4)
    for at in (1, 7, 8, 9, 63, 64, 65, 95, 96, 191, 192, 287, 288, 319, 320,
               321, 352, 383):
        vec("bad-cut-%03d" % at, "the second fragment cut to %d of %d bytes" %
            (at, len(buf)), {**take(TINY, 0), path(1): buf[:at]}, 4, 4, 4)
    for at in (8, 64, 288, 320, 383):
        vec("ok-cut-%03d" % at, "one of three fragments cut to %d bytes" % at,
            {**take(TINY, 0, 2), path(1): buf[:at]}, 0, 3, 0, TEXT,
            fixed(TINY, 1))
    vec("ok-trailing-garbage", "bytes after the payload are ignored by a "
        "reader, and are damage for verify",
        {**take(TINY, 0, 2), path(1): buf + b"\0"}, 0, 3, 0, TEXT,
        fixed(TINY, 1))
    vec("ok-trailing-all", "bytes after every payload",
        {x: y + b"more" for x, y in take(TINY, 0, 1, 2).items()}, 0, 3, 0,
        TEXT, fixed(TINY, 0, 1, 2))
    vec("ok-trailing-header", "a second fragment behind the first in one file "
        "is not there",
        {**take(TINY, 1, 2), path(0): TINY.segs[0].frag(0) + buf}, 0, 3, 0,
        TEXT, fixed(TINY, 0))

    # Two stripes: each has to have k good blocks.
    long = [LONG.segs[0].frag(i) for i in range(3)]
    head = LONG.segs[0].lay.header
    first, last = head + 5, len(long[0]) - 5
    vec("ok-cut-in-block", "one fragment lost its last stripe, another its "
        "first: each stripe still has k blocks",
        {path(0): flip(long[0], first), path(1): long[1],
         path(2): long[2][:head + 4096 + 7]}, 0, 3, 0, LONG_TEXT,
        fixed(LONG, 0, 2))
    vec("ok-cut-at-block", "cut exactly between two blocks",
        {path(0): long[0][:head + 4096], path(1): long[1], path(2): long[2]},
        0, 3, 0, LONG_TEXT, fixed(LONG, 0))
    vec("bad-two-in-one-stripe", "two of three blocks of the last stripe",
        {path(0): flip(long[0], last), path(1): long[1],
         path(2): flip(long[2], last)}, 4, 4, 4)
    vec("bad-two-in-first-stripe", "two of three blocks of the first stripe",
        {path(0): flip(long[0], first), path(1): flip(long[1], first),
         path(2): long[2]}, 4, 4, 4)
    vec("bad-header-only", "k headers, and one fragment with its payload",
        {path(0): long[0][:head], path(1): long[1]}, 4, 4, 4)
    vec("bad-cut-last-byte", "the last byte of the last block is missing",
        {path(0): long[0][:-1], path(1): long[1]}, 4, 4, 4)
    body = long[0]
    s0, s1 = body[head:head + 4096], body[head + 4096:]
    vec("bad-blocks-swapped", "the start of stripe 0 and stripe 1 swapped in "
        "one fragment", {path(0): body[:head] + s1 + s0[len(s1):] +
                         s0[:len(s1)], path(1): long[1]}, 4, 4, 4)
    vec("bad-payloads-swapped", "two fragments have each other's payload",
        {path(0): long[0][:head] + long[1][head:],
         path(1): long[1][:head] + long[0][head:]}, 4, 4, 4)

    # Several segments: the output ends before the first bad one.
    for number in range(3):
        files = take(THREE, 0, 1)
        files[path(1, number)] = flip(files[path(1, number)], -1)
        vec("bad-segment-%d-flipped" % number,
            "a wrong bit in segment %d of 3, no spare" % number, files,
            4, 4, 4, b"".join(PARTS[:number]))
        files = take(THREE, 0, 1)
        del files[path(1, number)]
        vec("bad-segment-%d-lost" % number,
            "k-1 fragments of segment %d of 3" % number, files, 4, 4, 4,
            b"".join(PARTS[:number]))
        files = {x: y for x, y in take(THREE, 0, 1, 2).items()
                 if not x.startswith("in/%010d" % number)}
        vec("bad-segment-%d-gone" % number,
            "no fragment of segment %d of 3" % number, files, 4, 4, 4,
            b"".join(PARTS[:number]))
    files = take(THREE, 0, 1, 2)
    a, b = files[path(1, 0)], files[path(1, 1)]
    at, bt = (THREE.segs[x].lay.header for x in (0, 1))
    files[path(1, 0)], files[path(1, 1)] = a[:at] + b[bt:], b[:bt] + a[at:]
    vec("ok-segment-payloads-swapped", "payloads of two segments swapped in "
        "one fragment each", files, 0, 3, 0, THREE.input,
        fixed(THREE, (0, 1), (1, 1)))
    files = take(THREE, 1, 2)
    files.update(take(THREE, 0, segs=[1]))
    del files[path(2, 1)]
    vec("ok-segments-differ", "other indices in other segments", files,
        0, 3, 0, THREE.input, fixed(THREE, (0, 0), (1, 2), (2, 0)))


def names():
    """Names mean nothing; a file is what its bytes say."""
    f = [TINY.segs[0].frag(i) for i in range(3)]
    vec("ok-name-other", "a fragment under another's name",
        {path(0): f[1], "in/x": f[2]}, 0, 3, 0, TEXT, fixed(TINY, 0))
    vec("ok-name-swapped", "two names swapped",
        {path(0): f[1], path(1): f[0], path(2): f[2]}, 0, 0, 0, TEXT)
    vec("ok-name-manifest", "a fragment called manifest",
        {"in/manifest": f[0], path(1): f[1], path(2): f[2]}, 0, 0, 0, TEXT)
    vec("ok-name-epoch", "an epoch 0 fragment under the name of epoch 7",
        {path(0, 0, 7): f[0], path(1): f[1], path(2): f[2]}, 0, 0, 0, TEXT)
    vec("bad-name-only", "one fragment under two names",
        {path(0): f[0], path(1): f[0]}, 4, 4, 4)
    vec("ok-other-files", "files that are neither fragment nor manifest",
        {path(0): f[0], path(1): f[1], path(2): f[2], "in/empty": b"",
         "in/readme": b"hello\n", "in/gef": b"GEFRAG", "in/man":
         b"gefrag-manifes"}, 0, 0, 0, TEXT)
    vec("ok-twice", "every fragment twice", {
        **take(TINY, 0, 1, 2), **take(TINY, 0, 1, 2, prefix="x")},
        0, 0, 0, TEXT)
    vec("ok-twice-one-bad", "index 1 twice, once with a wrong block: some "
        "file of it is whole",
        {**take(TINY, 0, 1, 2), "in/x": flip(f[1], -1)}, 0, 0, 0, TEXT)
    vec("ok-twice-bad-first", "the same, the bad file named first",
        {**take(TINY, 0, 1, 2), "in/0": flip(f[1], -1)}, 0, 0, 0, TEXT)
    vec("ok-twice-header", "index 1 as a header only and, elsewhere, as a "
        "body without a share: neither file is whole",
        {path(0): f[0], path(1): f[1][:320],
         "in/x": TINY.segs[0].frag(1, share=False)}, 0, 3, 0, TEXT,
        fixed(TINY, 1, 2))
    vec("bad-twice-both", "index 1 twice, both wrong",
        {path(0): f[0], path(1): flip(f[1], -1), "in/x": flip(f[1], -2)},
        4, 4, 4)
    long = LONG.segs[0].frag(1)
    vec("ok-twice-halves", "index 1 twice, each file with another good block",
        {**take(LONG, 0), path(1): flip(long, -1),
         "in/x": flip(long, LONG.segs[0].lay.header)}, 0, 3, 0, LONG_TEXT,
        fixed(LONG, 1, 2))


def sets():
    """10.1."""
    tiny, other = take(TINY, 0, 1), take(OTHER, 0, 1, prefix="other-")
    vec("bad-sets-two", "two sets that both have k fragments, none named",
        {**tiny, **other}, 5, 5, 5)
    vec("ok-sets-named", "the same with the set named", {**tiny, **other},
        0, 3, 0, TEXT, fixed(TINY, 2), set=TINY.id)
    vec("ok-sets-named-other", "the same with the other set named",
        {**tiny, **other}, 0, 3, 0, OTHER.input, fixed(OTHER, 2),
        set=OTHER.id)
    vec("bad-sets-three", "three sets, two of them viable",
        {**tiny, **other, **take(THIRD, 0, prefix="third-")}, 5, 5, 5)
    vec("ok-sets-one-viable", "three sets, one of them viable",
        {**tiny, **take(OTHER, 1, prefix="o"), **take(THIRD, 0, prefix="t")},
        0, 3, 0, TEXT, fixed(TINY, 2))
    vec("bad-sets-none-viable", "three sets, one fragment of each",
        {**take(TINY, 0), **take(OTHER, 1, prefix="o"),
         **take(THIRD, 2, prefix="t")}, 4, 4, 4)
    vec("bad-set-absent", "the set named is not there", tiny, 4, 4, 4,
        set=OTHER.id)
    vec("bad-set-few", "the set named has k-1 fragments, another has k",
        {**tiny, **take(OTHER, 0, prefix="o")}, 4, 4, 4, set=OTHER.id)
    vec("bad-set-later-viable", "only segment 1 of a second set is viable: "
        "still a second set",
        {**tiny, **take(THREE, 0, 1, segs=[1], prefix="x")}, 5, 5, 5)
    vec("bad-first-segment-gone-alone", "the only set lacks segment 0",
        take(THREE, 0, 1, 2, segs=[1, 2]), 4, 4, 4)
    vec("ok-set-single-k", "k is the header's own: 3-of-5 beside 2 fragments "
        "of another 3-of-5 set",
        {**take(FIVE, 0, 1, 2), **take(Set(TEXT, b"five too", 3, 5), 0, 1,
                                       prefix="x")}, 0, 3, 0, TEXT,
        fixed(FIVE, 3, 4))


def groups():
    """10.2."""
    def liar(seed, k=2, n=3, of=TINY, text=b"lies\n", **kw):
        return Set(text, seed, k, n, setid=of.id, **kw)

    two = liar(b"liar 4", 2, 4, FOUR)
    man = FOUR.manifest(places=["0 0-0 0=ams 1=fra"])
    tie = {**take(FOUR, 0, 1), **take(two, 2, 3)}
    vec("bad-tie", "k = n/2: two liars equal two honest fragments", tie,
        5, 5, 5, set=FOUR.id)
    vec("bad-tie-unnamed", "the same, no set named: one set id is viable",
        tie, 5, 5, 5)
    vec("ok-tie-manifest", "the same with the manifest pinned", tie, 0, 3, 0,
        TEXT, fixed(FOUR, 2, 3), manifest=man)
    vec("bad-tie-digest", "the same with the digest pinned: it does not "
        "choose", tie, 5, 5, 5, digest=FOUR.digest())
    vec("ok-tie-digest-manifest", "the digest and, among the fragments, its "
        "manifest", {**tie, "in/manifest": man}, 0, 3, 0, TEXT,
        fixed(FOUR, 2, 3), digest=FOUR.digest())
    vec("bad-tie-manifest-unpinned", "a manifest nobody named decides "
        "nothing", {**tie, "in/manifest": man}, 5, 5, 5, set=FOUR.id)
    small = liar(b"liar small", 2, 3, FIVE)
    vec("ok-collude-smaller-k", "two liars form a complete 2-of-3 segment: "
        "outvoted", {**take(FIVE, 0, 1, 2), **take(small, 0, 1, prefix="x")},
        0, 3, 0, TEXT, fixed(FIVE, 3, 4), set=FIVE.id)
    vec("bad-collude-tie-smaller-k", "three liars against three",
        {**take(FIVE, 0, 1, 2), **take(small, 0, 1, 2, prefix="x")}, 5, 5, 5,
        set=FIVE.id)
    small5 = liar(b"liar 5", 2, 5)
    lies = {**take(TINY, 0, 1), **take(small5, 2, 3, 4, prefix="x")}
    vec("ok-liars-majority", "nothing pinned: whoever supplies most decides",
        lies, 0, 3, 0, b"lies\n", fixed(small5, 0, 1), set=TINY.id)
    vec("bad-liars-majority-digest", "the same, the digest tells", lies,
        5, 5, 5, digest=TINY.digest())
    vec("ok-liars-majority-manifest", "the same, the manifest tells", lies,
        0, 3, 0, TEXT, fixed(TINY, 2), manifest=TINY.manifest())
    four = liar(b"liar k 4", 4, 5)
    vec("bad-largest-not-viable", "the largest group has 3 of its 4, a "
        "smaller one is viable",
        {**take(TINY, 0, 1), **take(four, 0, 1, 2, prefix="x")}, 5, 5, 5,
        set=TINY.id)
    ones = [liar(b"single %d" % i, text=b"x%d" % i) for i in range(3)]
    vec("bad-half", "two agree, two others say something else each: half is "
        "not more than half",
        {**take(TINY, 0, 1), **take(ones[0], 1, prefix="x"),
         **take(ones[1], 2, prefix="y")}, 5, 5, 5)
    vec("ok-most", "three agree of five",
        {**take(FIVE, 0, 1, 2), **take(liar(b"s0", of=FIVE), 1, prefix="x"),
         **take(liar(b"s1", of=FIVE), 2, prefix="y")}, 0, 3, 0, TEXT,
        fixed(FIVE, 3, 4))
    vec("bad-all-differ", "three headers, all different",
        {**take(TINY, 0), **take(ones[0], 1, prefix="x"),
         **take(ones[1], 2, prefix="y")}, 4, 4, 4, set=TINY.id)
    vec("ok-liar-repeats", "a liar's index twenty times counts once",
        {**take(TINY, 0, 1),
         **{"in/x%02d" % i: ones[0].segs[0].frag(2) for i in range(20)}},
        0, 3, 0, TEXT, fixed(TINY, 2))
    vec("bad-liar-repeats-honest", "an honest index repeated counts once too",
        {path(0): TINY.segs[0].frag(0), "in/y": TINY.segs[0].frag(0),
         **take(ones[0], 1, prefix="x")}, 4, 4, 4)
    # The manifest's root.
    vec("ok-root-minority", "the manifest's root is a minority, and viable",
        {**take(TINY, 0, 1), **take(small5, 0, 1, 2, 3, 4, prefix="x")},
        0, 3, 0, TEXT, fixed(TINY, 2), manifest=TINY.manifest())
    vec("bad-root-not-viable", "k-1 fragments of the manifest's root, and "
        "another group viable",
        {**take(TINY, 0), **take(small5, 2, 3, prefix="x")}, 5, 5, 5,
        manifest=TINY.manifest())
    vec("bad-root-absent", "no fragment of the manifest's root, another "
        "group viable", take(small5, 2, 3, prefix="x"), 5, 5, 5,
        manifest=TINY.manifest())
    vec("bad-root-none-viable", "no group viable: lost, not refused",
        {**take(TINY, 0), **take(ones[0], 1, prefix="x")}, 4, 4, 4,
        manifest=TINY.manifest())
    vec("bad-root-nothing", "a manifest, and no fragment of its set",
        take(OTHER, 0, 1, 2), 4, 4, 4, manifest=TINY.manifest())
    # Segments that do not belong together.
    both = PARTS[0] + PARTS[1]

    def second(name, note, s, status=5, **kw):
        """Segment 0 of one set, segment 1 of another with its id."""
        one = Set(both, b"joined", deflate=deflate, setid=TINY.id,
                  **kw.pop("first", {}))
        vec("bad-second-" + name, note,
            {**take(one, 0, 1, segs=[0]), **take(s, 0, 1, segs=[1])},
            status, status, status, PARTS[0], **kw)

    def joined(**kw):
        return Set(both, b"joined too", cuts=[8176, 8176], deflate=deflate,
                   setid=TINY.id, **kw)

    second("n", "segment 1 has another n", joined(n=4))
    second("k", "segment 1 has another k, and k fragments of it",
           joined(k=2, n=2))
    second("block", "segment 1 has another B", joined(B=8192))
    second("mode", "segment 1 is plain", joined(mode=1))
    second("wraps", "segment 1 has a wrap", joined(wraps=[x_pub(ALICE)]))
    second("offset", "the offset of segment 1 is one too large",
           joined(each={1: {"offset": 8177}}))
    second("offset-less", "the offset of segment 1 is one too small",
           joined(each={1: {"offset": 8175}}))
    w1 = Set(both, b"wrapped one", deflate=deflate, setid=TINY.id,
             wraps=[x_pub(ALICE)])
    w2 = Set(both, b"wrapped two", deflate=deflate, setid=TINY.id,
             wraps=[x_pub(ALICE)])
    vec("bad-second-other-wraps", "segment 1 has other wraps, for the same "
        "recipient", {**take(w1, 0, 1, segs=[0]), **take(w2, 0, 1, segs=[1])},
        5, 5, 5, PARTS[0], identity=ALICE)
    s = joined()
    one = Set(both, b"joined", deflate=deflate, setid=TINY.id)
    vec("ok-second-other-key", "segment 1 from another run with the same set "
        "id: nothing in the headers tells",
        {**take(one, 0, 1, segs=[0]), **take(s, 0, 1, segs=[1])}, 0, 3, 0,
        both, {**fixed(one, (0, 2)), **fixed(s, (1, 2))})
    vec("bad-second-other-key-digest", "the same with the digest pinned",
        {**take(one, 0, 1, segs=[0]), **take(s, 0, 1, segs=[1])}, 5, 5, 5,
        digest=one.digest())
    vec("bad-second-tie", "liars tie in segment 1 only",
        {**take(one, 0, 1), **take(s, 1, 2, segs=[1], prefix="x")}, 5, 5, 5,
        PARTS[0])
    vec("bad-second-last-gone", "the last segment is missing",
        take(THREE, 0, 1, 2, segs=[0, 1]), 4, 4, 4, PARTS[0] + PARTS[1])
    extra = Set(b"".join(PARTS) + b"more", b"extra", setid=THREE.id,
                cuts=[8176, 8176, 100, 4], deflate=deflate)
    vec("ok-after-last", "a segment after the last one is ignored",
        {**take(THREE, 0, 1, 2), **take(extra, 0, 1, 2, segs=[3])}, 0, 0, 0,
        THREE.input)
    # The digest.
    vec("ok-digest", "the digest pinned", take(THREE, 0, 1, 2), 0, 0, 0,
        THREE.input, digest=THREE.digest())
    vec("bad-digest", "a complete set, another digest pinned",
        take(THREE, 0, 1, 2), 5, 5, 5, digest=TINY.digest())
    vec("bad-digest-bit", "one bit of the digest", take(TINY, 0, 1, 2),
        5, 5, 5, digest=flip(TINY.digest(), 31))
    vec("bad-digest-gone", "the digest pinned, the last segment missing: "
        "nothing comes out", take(THREE, 0, 1, 2, segs=[0, 1]), 4, 4, 4,
        digest=THREE.digest())
    files = take(THREE, 0, 1)
    files[path(1, 1)] = flip(files[path(1, 1)], -1)
    vec("bad-digest-flipped", "the digest pinned and right, a block of "
        "segment 1 wrong", files, 4, 4, 4, PARTS[0], digest=THREE.digest())
    vec("bad-digest-and-set", "the digest of one set, the id of another",
        {**take(TINY, 0, 1), **take(OTHER, 0, 1, prefix="x")}, 5, 5, 5,
        set=OTHER.id, digest=TINY.digest())
    vec("bad-digest-gone-manifest", "with the digest's manifest at hand the "
        "first segments come out",
        {**take(THREE, 0, 1, 2, segs=[0, 1]),
         "in/manifest": THREE.manifest()}, 4, 4, 4, PARTS[0] + PARTS[1],
        digest=THREE.digest())
    vec("ok-digest-bad-manifest", "a malformed manifest with the digest named "
        "is ignored", {**take(TINY, 0, 1, 2), "in/manifest":
                       TINY.manifest().replace(b"\n", b"\r\n")}, 0, 0, 0,
        TEXT, digest=TINY.digest())


def gf128_mul(a, b):
    """GCM's field; bit 0 is the most significant."""
    r = 0
    for i in range(127, -1, -1):
        if b >> i & 1:
            r ^= a
        a = a >> 1 ^ (0xe1 << 120 if a & 1 else 0)
    return r


def gf128_inv(a):
    r = 1 << 127
    for i in range(128):                        # a^(2^128 - 2)
        r = gf128_mul(r, r)
        r = gf128_mul(r, a) if i < 127 else r
    return r


def two_keys(key1, key2, first):
    """Ciphertext and tag, 48 bytes, that both keys open at nonce 0."""
    def ecb(key, block):
        enc = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return int.from_bytes(enc.update(block) + enc.finalize(), "big")

    nonce = bytes(12)
    h = [ecb(x, bytes(16)) for x in (key1, key2)]
    mask = [ecb(x, nonce + b"\0\0\0\1") for x in (key1, key2)]
    c1, length = int.from_bytes(first, "big"), 32 * 8
    part = []
    for x, m in zip(h, mask):
        x2 = gf128_mul(x, x)
        part.append(gf128_mul(c1, gf128_mul(x2, x)) ^
                    gf128_mul(length, x) ^ m)
    sq = [gf128_mul(x, x) for x in h]
    c2 = gf128_mul(part[0] ^ part[1], gf128_inv(sq[0] ^ sq[1]))
    tag = part[0] ^ gf128_mul(c2, sq[0])
    return b"".join(x.to_bytes(16, "big") for x in (c1, c2, tag))


def keys():
    """10.3."""
    seg = TINY.segs[0]
    f0, f1, f2 = (seg.frag(i) for i in range(3))
    vec("ok-blind", "fragment 2 has a body but no share",
        {**take(TINY, 0, 1), path(2): seg.frag(2, share=False)}, 0, 3, 0,
        TEXT, fixed(TINY, 2), blind=(3, {}))
    vec("bad-blind-lost", "two bodies but one share",
        {path(0): f0, path(2): seg.frag(2, share=False)}, 4, 4, 4,
        blind=(3, fixed(TINY, 1, share=False)))
    vec("bad-blind-all", "three bodies without a share",
        {path(i): seg.frag(i, share=False) for i in range(3)}, 4, 4, 4,
        blind=(3, {}))
    vec("bad-share-zero", "has share is 1, the share is zero",
        {path(0): f0, path(1): patch(f1, 288, bytes(32))}, 4, 4, 4)
    vec("bad-share-swapped", "two fragments have each other's share",
        {path(0): patch(f0, 288, f1[288:320]),
         path(1): patch(f1, 288, f0[288:320])}, 4, 4, 4)
    f3, f4 = FIVE.segs[0].frag(3), FIVE.segs[0].frag(4)
    at = FIVE.segs[0].lay.share
    vec("ok-share-swapped", "the same, and no share is needed from them",
        {**take(FIVE, 0, 1, 2), path(3): patch(f3, at, f4[at:at + 32]),
         path(4): patch(f4, at, f3[at:at + 32])}, 0, 3, 0, TEXT,
        fixed(FIVE, 3, 4))
    old, new = take(TINY, 0, 1, 2), take(TINY, 0, 1, 2, epoch=1)
    vec("ok-refreshed", "epoch 1, two fragments", take(TINY, 0, 2, epoch=1),
        0, 3, 0, TEXT, fixed(TINY, (0, 1, 1)),
        blind=(3, fixed(TINY, (0, 1, 1), share=False)))
    vec("ok-epochs-both", "both epochs whole: the newest counts",
        {**old, **new}, 0, 0, 0, TEXT)
    vec("ok-epochs-header-only", "new headers without payload beside the old "
        "fragments", {**old, **{x: y[:320] for x, y in new.items()}}, 0, 3, 0,
        TEXT, fixed(TINY, (0, 0, 1), (0, 1, 1), (0, 2, 1)))
    vec("bad-epochs-mixed", "one share of each epoch: they never combine",
        {**take(TINY, 0), **take(TINY, 1, epoch=1)}, 4, 4, 4)
    vec("ok-epochs-one-new", "one new share, two old: the old epoch is read",
        {**take(TINY, 0, 1), **take(TINY, 2, epoch=1)}, 0, 3, 0, TEXT,
        fixed(TINY, 2))
    vec("ok-epoch-255", "epoch 255", take(TINY, 0, 1, epoch=255), 0, 3, 0,
        TEXT, fixed(TINY, (0, 2, 255)))
    vec("bad-epochs-two-and-two", "3-of-5: two shares of each of two epochs",
        {**take(FIVE, 0, 1), **take(FIVE, 2, 3, epoch=1)}, 4, 4, 4)
    vec("bad-epochs-five", "3-of-5: five shares of five epochs",
        {k: v for i in range(5)
         for k, v in take(FIVE, i, epoch=i).items()}, 4, 4, 4)
    vec("bad-epochs-same-number", "two records of the same epoch, one share "
        "of each: records are told apart by their commitments",
        {path(0): f0, path(1): seg.frag(1, shares=ref.shamir_split(
            seg.kthr, [H(b"other coefficients")], 3))}, 4, 4, 4)
    vec("bad-epoch-forged", "one fragment's epoch byte changed: its record "
        "is another", {path(0): f0, path(1): resum(patch(f1, 59, b"\1"), seg)},
        4, 4, 4)
    lone = seg.frag(2, 200, shares=ref.shamir_split(H(b"no"), [H(b"x")], 3))
    vec("ok-epoch-liar", "one liar with epoch 200: one share of that record",
        {**take(TINY, 0, 1), path(2, 0, 200): lone}, 0, 3, 0, TEXT,
        fixed(TINY, 2))
    # Shares that all match their commitments, of a key that does not fit.
    wrong = ref.shamir_split(H(b"another key"), [H(b"slope")], 3)
    vec("bad-key-commitment", "k valid shares, but of another key",
        {path(i): seg.frag(i, shares=wrong) for i in (0, 1)}, 5, 3, 5)
    vec("ok-key-older", "the newest record gives another key, the one before "
        "fits", {**take(TINY, 0, 1), **{path(i, 0, 1): seg.frag(
            i, 1, shares=wrong) for i in (0, 1)}}, 0, 3, 0, TEXT,
        fixed(TINY, 2))
    zero = ref.shamir_split(bytes(32), [bytes(32)], 3)
    vec("bad-key-zero", "k valid shares, all zero",
        {path(i): seg.frag(i, shares=zero) for i in (0, 1)}, 5, 3, 5)
    bad = Set(TEXT, b"kc wrong")
    bad.segs[0].kc = flip(bad.segs[0].kc, 31)
    vec("bad-key-commitment-bit", "the key is right, one bit of the "
        "commitment is not", take(bad, 0, 1), 5, 3, 5)
    # One ciphertext for two keys.
    both = Set(bytes(32), b"two keys")
    seg2 = both.segs[0]
    kthr2 = H(b"the second key")
    key2, _ = ref.derive(kthr2, bytes(32), seg2.dh)
    sealed = two_keys(seg2.key, key2, noise(16))
    plain1, plain2 = (ref.AESGCM(x).decrypt(bytes(12), sealed, b"")
                      for x in (seg2.key, key2))
    assert plain1 != plain2
    seg2.stripes = [seg2.stripe(0, sealed)]
    seg2.rehash()
    vec("ok-two-keys", "a ciphertext that opens under two keys, read with "
        "the one that is committed to", take(both, 0, 1), 0, 3, 0, plain1,
        fixed(both, 2))
    shares2 = ref.shamir_split(kthr2, [H(b"slope")], 3)
    vec("bad-two-keys", "the same with shares of the other key: its tag is "
        "right, the key commitment is not",
        {path(i): seg2.frag(i, shares=shares2) for i in (0, 1)}, 5, 3, 5)
    vec("ok-two-keys-epochs", "shares of the other key as a newer epoch",
        {**take(both, 0, 1), **{path(i, 0, 1): seg2.frag(
            i, 1, shares=shares2) for i in (0, 1)}}, 0, 3, 0, plain1,
        fixed(both, 2))
    # A dealer who lies about a share that is not there.
    commits = [ref.share_commit(seg.dh, 0, i, x)
               for i, x in enumerate(seg.shares())]
    commits[2] = H(b"no share")
    vec("ok-repair-commitment", "the commitment to share 2 is wrong: read, "
        "but not repaired",
        {path(i): seg.frag(i, commits=commits) for i in (0, 1)},
        0, 3, 5, TEXT)


def stripes():
    """10.4 and 6.1: writers that lie in all n fragments."""
    s = Set(TEXT, b"padding")
    seg = s.segs[0]
    c = seg.seal(0, TEXT)
    seg.stripes = [seg.stripe(0, c, b"\0\0\1")]
    seg.rehash()
    vec("bad-padding", "the zeros behind the last stripe are not all zero",
        take(s, 0, 1, 2), 5, 0, 0)
    vec("bad-padding-parity", "the same, rebuilt from a parity",
        take(s, 1, 2), 5, 3, 0, b"", fixed(s, 0))
    s = Set(TEXT, b"padding last")
    seg = s.segs[0]
    c = seg.seal(0, TEXT)
    seg.stripes = [seg.stripe(0, c, bytes(127 - len(c)) + b"\x80")]
    seg.rehash()
    vec("bad-padding-last", "the last bit of the last block",
        take(s, 0, 1, 2), 5, 0, 0)
    p = Set(TEXT, b"padding plain", mode=1)
    seg = p.segs[0]
    seg.stripes = [seg.stripe(0, TEXT, b"\1")]
    seg.rehash()
    vec("bad-padding-plain", "the same in plain mode", take(p, 0, 1, 2),
        5, 0, 0)
    p = Set(TEXT, b"padding plain k1", 1, 3, mode=1)
    seg = p.segs[0]
    seg.stripes = [seg.stripe(0, TEXT, b"\1")]
    seg.rehash()
    vec("bad-padding-plain-k1", "the same with k = 1", take(p, 1), 5, 3, 0,
        b"", fixed(p, 0, 2))
    for what, at in (("text", 0), ("tag", -1)):
        s = Set(TEXT, b"tag " + what.encode())
        seg = s.segs[0]
        seg.stripes = [seg.stripe(0, flip(seg.seal(0, TEXT), at))]
        seg.rehash()
        vec("bad-tag-" + what, "hashes right, the tag wrong: a bit of the %s" %
            what, take(s, 0, 1, 2), 5, 0, 0)
    s = Set(LONG_TEXT, b"nonce", M=2)
    seg = s.segs[0]
    seg.stripes[1] = seg.stripe(1, ref.AESGCM(seg.key).encrypt(
        bytes(12), LONG_TEXT[8176:], b""))
    seg.rehash()
    vec("bad-tag-nonce", "stripe 1 sealed with the nonce of stripe 0",
        take(s, 0, 1), 5, 3, 0, b"", fixed(s, 2))
    s = Set(noise(16352), b"swap", M=2)
    s.segs[0].stripes.reverse()
    s.segs[0].rehash()
    vec("bad-stripes-swapped", "two stripes swapped, the table made to match",
        take(s, 0, 1), 5, 3, 0, b"", fixed(s, 2))
    s = Set(TEXT, b"aad")
    seg = s.segs[0]
    seg.stripes = [seg.stripe(0, ref.AESGCM(seg.key).encrypt(
        bytes(12), TEXT, b"gefrag"))]
    seg.rehash()
    vec("bad-tag-aad", "sealed with additional data", take(s, 0, 1, 2),
        5, 0, 0)
    a, b = Set(TEXT, b"from"), Set(TEXT, b"to")
    b.segs[0].stripes = a.segs[0].stripes
    b.segs[0].rehash()
    vec("bad-tag-transplant", "the stripe of another segment, the table made "
        "to match", take(b, 0, 1, 2), 5, 0, 0)
    # In segment 1 the first one comes out.
    s = Set(PARTS[0] + PARTS[1], b"tag second", deflate=deflate)
    seg = s.segs[1]
    seg.stripes = [seg.stripe(0, flip(seg.seal(0, seg.coded), 0))]
    seg.rehash()
    vec("bad-tag-second", "a wrong tag in segment 1", take(s, 0, 1, 2),
        5, 0, 0, PARTS[0])
    # A parity that does not follow from the data, its hash right.
    s = Set(TEXT, b"parity")
    row = s.segs[0].stripes[0]
    row[2] = flip(row[2], 0)
    s.segs[0].rehash()
    vec("ok-parity-lie", "a parity block that is none, not needed: repair has "
        "nothing to rebuild", take(s, 0, 1, 2), 0, 0, 0, TEXT)
    vec("ok-repair-parity-lie", "the same without it: what is rebuilt "
        "contradicts the table", take(s, 0, 1), 0, 3, 5, TEXT)
    vec("bad-parity-lie", "the same read through it", take(s, 0, 2), 5, 3, 5)
    p = Set(TEXT, b"parity plain", 1, 2, mode=1)
    p.segs[0].table = p.segs[0].table[:32] + H(b"no such block")
    vec("ok-repair-table-lie", "no block has the hash the table has for "
        "index 1", take(p, 0), 0, 3, 5, TEXT)
    # The table lies: with the digest pinned no reader may skip the hashes.
    s = Set(TEXT, b"table lie")
    seg = s.segs[0]
    seg.table = flip(flip(seg.table, 0), 32)
    vec("bad-table-lie", "every header has wrong hashes for two blocks",
        take(s, 0, 1, 2), 4, 4, 4, digest=s.digest())

    # Inflation.
    text = lines_of(7, 300)
    good = deflate(text)

    def inflated(name, note, coded, U=300, out=None):
        s = Set(coded, b"inflate " + name.encode(),
                base={"U": U, "flags": 3})
        if out is None:
            vec("bad-inflate-" + name, note, take(s, 0, 1, 2), 5, 0, 0)
        else:
            vec("ok-inflate-" + name, note, take(s, 0, 1, 2), 0, 0, 0, out)

    inflated("fixed", "fixed codes", good, 300, text)
    stored = b"\0" + struct.pack("<HH", 11, 0xffff ^ 11) + text[:11]
    inflated("blocks", "a stored block, then fixed codes",
             stored + deflate(text), 311, text[:11] + text)
    inflated("empty-end", "the last block is empty",
             deflate(text, False, tail=True), 300, text)
    inflated("trailing", "a byte behind the end of the stream", good + b"\0")
    inflated("trailing-stream", "two streams", good + good, 600)
    inflated("cut", "the stream cut by one byte", good[:-1])
    inflated("cut-half", "half of the stream", good[:len(good) // 2])
    inflated("not-final", "no final block", deflate(text, False))
    inflated("short", "one byte less than U", good, 301)
    inflated("long", "one byte more than U", good, 299)
    inflated("bomb", "far more than U", deflate(lines_of(7, 200000)),
             100000)
    inflated("bomb-small", "more than U from the first bytes on",
             deflate(lines_of(7, 60000)), 1000)
    inflated("reserved", "block type 3", b"\7" + bytes(40))
    inflated("distance", "a match before the start of the data",
             deflate(text, True)[:1] + b"\x02\x06" + good[3:], 300)
    inflated("stored-length", "a stored block whose lengths disagree",
             b"\1\x0a\0\0\0" + bytes(60))
    inflated("noise", "no deflate stream", noise(60))
    inflated("not-empty", "a stream of nothing, U = 300", b"\3\0")
    s = Set(PARTS[0] + good + b"!", b"inflate second",
            cuts=[8176, len(good) + 1],
            each={0: {"U": 8176}, 1: {"U": 300, "flags": 3}})
    vec("bad-inflate-second", "a bad stream in segment 1",
        take(s, 0, 1, segs=[0, 1]), 5, 3, 0, PARTS[0],
        fixed(s, (0, 2), (1, 2)))
    z = Set(lines_of(3, 9000), b"deflated", deflate=deflate)
    vec("ok-deflate", "deflate, two segments", take(z, 1, 2), 0, 3, 0,
        z.input, fixed(z, (0, 0), (1, 0)))
    z = Set(lines_of(3, 8176) + noise(300), b"deflated in part",
            deflate=deflate)
    vec("ok-deflate-part", "one segment deflated, one not",
        take(z, 1, 2), 0, 3, 0, z.input, fixed(z, (0, 0), (1, 0)))


def manifests():
    """Section 8."""
    files = take(TINY, 0, 1)
    place = "0 0-0 0=ams 1=fra 2=hel"

    def man(**kw):
        kw.setdefault("signers", [SIGNER])
        return TINY.manifest(name=kw.pop("name", "note.txt"),
                             places=kw.pop("places", [place]), **kw)

    def ok(name, note, text, **kw):
        vec("ok-man-" + name, note, {**files, "in/manifest": text}, 0, 3, 0,
            TEXT, fixed(TINY, 2), signer=PUB, **kw)

    def bad(name, note, text):
        """Signed by the signer named, but malformed: there is none of his."""
        vec("bad-man-" + name, note, {**files, "in/manifest": text}, 5, 5, 5,
            signer=PUB)

    def sub(old, new):
        """The line that starts with old, replaced by new lines."""
        def edit(lines):
            at = next(i for i, x in enumerate(lines) if x.startswith(old))
            return lines[:at] + (new if isinstance(new, list) else [new]) + \
                lines[at + 1:]
        return edit

    def line(old):
        """The line itself, from a well-formed manifest."""
        return next(x for x in man().decode().split("\n")
                    if x.startswith(old))

    def broken(name, note, old, new):
        bad(name, note, man(edit=sub(old, new)))

    ok("signed", "origin pinned by an Ed25519 key", man())
    ok("unnamed", "no name line", man(name=None))
    ok("no-place", "no place line", man(places=[]))
    ok("two-signatures", "two signatures, ours second",
       man(signers=[STRANGER, SIGNER]))
    ok("signature-twice", "the same signature twice",
       man(signers=[SIGNER, SIGNER]))
    ok("serial", "serial 1 with a previous",
       man(serial=1, previous=H(man()).hex()))
    ok("serial-max", "serial 2^64 - 1",
       man(serial=(1 << 64) - 1, previous=H(b"").hex()))
    ok("name-percent", "a name with escapes", man(name="100%25 %C3%A9"))
    ok("name-long", "a name of 4096 characters", man(name="n" * 4096))
    ok("place-bounds", "epoch 255, a site of 63 characters, two lines",
       man(places=["255 0-0 0=%s" % ("a" * 63), "0 0-0 1=A.b_c-d 2=9"]))
    vec("ok-man-same-twice", "the same file twice is no fork",
        {**files, "in/manifest": man(), "in/manifest2": man()}, 0, 3, 0, TEXT,
        fixed(TINY, 2), signer=PUB)

    broken("version", "version 2", "gefrag-manifest", "gefrag-manifest 2")
    broken("version-zero", "version 01", "gefrag-manifest",
           "gefrag-manifest 01")
    setline = line("set ")
    broken("set-short", "a set id of 31 digits", "set ", setline[:-1])
    broken("set-long", "a set id of 33 digits", "set ", setline + "0")
    broken("set-upper", "upper case hex", "set ",
           "set " + setline[4:].upper())
    broken("set-hex", "no hex", "set ", setline[:-1] + "g")
    broken("set-missing", "no set line", "set ", [])
    broken("set-twice", "the set line twice", "set ", [setline, setline])
    broken("set-other", "the id of another set: the digest disagrees", "set ",
           "set " + OTHER.id.hex())
    broken("serial-zeros", "serial 00", "serial", "serial 00")
    broken("serial-plus", "serial +0", "serial", "serial +0")
    broken("serial-empty", "serial without a number", "serial", "serial ")
    broken("serial-space", "two spaces", "serial", "serial  0")
    broken("serial-tail", "a space at the end", "serial", "serial 0 ")
    broken("serial-tab", "a tab for a space", "serial", "serial\t0")
    broken("serial-one", "serial 1, previous -", "serial", "serial 1")
    broken("serial-long", "21 digits", "serial", "serial " + "1" * 21)
    broken("serial-over", "serial 2^64", "serial", "serial %d" % (1 << 64))
    broken("serial-missing", "no serial line", "serial", [])
    broken("serial-twice", "the serial line twice", "serial",
           ["serial 0", "serial 0"])
    broken("previous", "serial 0 with a previous", "previous",
           "previous " + H(b"").hex())
    broken("previous-short", "previous of 63 digits", "previous",
           "previous " + H(b"").hex()[1:])
    bad("previous-upper", "previous in upper case",
        man(serial=1, previous=H(b"").hex().upper()))
    broken("order", "previous before serial", "serial",
           ["previous -", "serial 0"])
    for what, name in (("empty", ""), ("lower", "%c3%A9"),
                       ("escape", "50% off"), ("escape-end", "x%4"),
                       ("utf8", "%FF"), ("overlong", "%C0%80"),
                       ("surrogate", "%ED%A0%80"), ("utf8-cut", "%C3"),
                       ("utf8-raw", "\u00e9"), ("del", "a\x7fb"),
                       ("nul", "a\0b"), ("long", "n" * 4097),
                       ("line-long", "%C3%A9" * 1400)):
        bad("name-" + what, "name: " + what, man(name=name))
    broken("name-twice", "the name twice", "name", ["name a", "name a"])
    broken("name-late", "the name after created", "created",
           [line("created"), "name x"])
    for what, date in (("space", "2025-11-21 06:00:00Z"),
                       ("zone", "2025-11-21T06:00:00"),
                       ("offset", "2025-11-21T06:00:00+01:00"),
                       ("short", "2025-11-21T6:00:00Z"),
                       ("letters", "2025-nov-21T06:00:00Z")):
        broken("created-" + what, "created: " + date, "created",
               "created " + date)
    broken("created-missing", "no created line", "created", [])
    broken("mode", "mode secret", "mode", "mode secret")
    broken("mode-upper", "mode Encrypted", "mode", "mode Encrypted")
    for what, code in (("code", "2 2 3 4096 1"), ("alpha", "1 2 3 4096 2"),
                       ("k-1", "1 1 3 4096 1"), ("k-over", "1 4 3 4096 1"),
                       ("n-65", "1 2 65 4096 1"), ("block", "1 2 3 5000 1"),
                       ("block-small", "1 2 3 2048 1"),
                       ("block-large", "1 2 3 8388608 1"),
                       ("short", "1 2 3 4096"), ("more", "1 2 3 4096 1 1"),
                       ("zeros", "1 02 3 4096 1")):
        broken("code-" + what, "code " + code, "code", "code " + code)
    broken("recipient-kind", "a recipient of another kind", "length",
           ["recipient pgp", line("length")])
    broken("recipient-17", "seventeen recipients", "length",
           ["recipient x25519"] * 17 + [line("length")])
    broken("recipient-two", "a passphrase and a key", "length",
           ["recipient passphrase", "recipient x25519", line("length")])
    broken("length", "length one too large", "length",
           "length %d" % (len(TEXT) + 1))
    broken("length-zeros", "length with a leading zero", "length",
           "length 0%d" % len(TEXT))
    broken("length-missing", "no length line", "length", [])
    segline = line("segment ")
    broken("segments-two", "two segments said, one there", "segments",
           "segments 2")
    broken("segments-zero", "no segments said", "segments", "segments 0")
    broken("segment-missing", "no segment line", "segment ", [])
    broken("segment-number", "numbers from 1", "segment ",
           segline.replace("segment 0", "segment 1"))
    broken("segment-twice", "segment 0 twice", "segment ", [segline, segline])
    broken("segment-root", "a root of 63 digits", "segment ", segline[:-1])
    broken("segment-upper", "a root in upper case", "segment ",
           segline[:-64] + segline[-64:].upper())
    broken("segment-short", "no root", "segment ", segline[:-65])
    broken("digest", "the digest of something else", "digest",
           "digest " + H(b"").hex())
    broken("digest-missing", "no digest line", "digest", [])
    broken("digest-twice", "the digest twice", "digest",
           [line("digest")] * 2)
    for what, text in (("epoch", "256 0-0 0=ams"), ("order", "0 1-0 0=ams"),
                       ("segment", "0 0-1 0=ams"), ("range", "0 0 0=ams"),
                       ("range-three", "0 0-0-0 0=ams"),
                       ("nothing", "0 0-0"), ("index", "0 0-0 3=ams"),
                       ("descend", "0 0-0 1=ams 0=fra"),
                       ("twice", "0 0-0 1=ams 1=fra"),
                       ("site", "0 0-0 0="), ("equals", "0 0-0 0"),
                       ("dot", "0 0-0 0=.ams"), ("slash", "0 0-0 0=a/b"),
                       ("long", "0 0-0 0=" + "a" * 64),
                       ("zeros", "0 0-0 00=ams"), ("space", "0 0-0  0=ams"),
                       ("tail", "0 0-0 0=ams "), ("minus", "-1 0-0 0=ams"),
                       ("equals-two", "0 0-0 0=a=b")):
        bad("place-" + what, "place " + text[:40], man(places=[text]))
    broken("place-early", "a place before the digest", "digest",
           ["place " + place, line("digest")])
    broken("unknown", "a line nobody knows", "place",
           ["comment hello", "place " + place])
    broken("empty-line", "an empty line", "place", ["", "place " + place])
    broken("comment", "a comment", "place", ["# note", "place " + place])
    body = man(signers=[])
    bad("crlf", "CR LF", sign_manifest(body.replace(b"\n", b"\r\n"),
                                       [SIGNER]))
    bad("cr-first", "one CR", sign_manifest(
        body.replace(b" 1\n", b" 1\r\n", 1), [SIGNER]))
    bad("no-lf", "no line feed before the signature",
        sign_manifest(body[:-1], [SIGNER]))
    bad("no-lf-end", "no line feed at the end", man()[:-1])
    bad("cut", "cut in the signature", man()[:-30])
    bad("after", "a line after the signature", man() + b"place " +
        place.encode() + b"\n")
    bad("after-empty", "an empty line after the signature", man() + b"\n")
    bad("nul", "a zero byte after the end", man() + b"\0")
    bad("unsigned", "a signer named, the manifest not signed",
        man(signers=[]))
    bad("stranger", "signed by somebody else", man(signers=[STRANGER]))
    sig = man()
    bad("changed", "changed after signing",
        sig.replace(b"note.txt", b"none.txt"))
    bad("signature-bit", "one digit of the signature changed",
        sig[:-2] + (b"0" if sig[-2:-1] != b"0" else b"1") + b"\n")
    bad("signature-kind", "a signature of another kind",
        sig.replace(b"signature ed25519", b"signature ed448"))
    bad("signature-short", "a signature of 127 digits", sig[:-2] + b"\n")
    upper = sig[:-129] + sig[-129:].upper()
    bad("signature-upper", "a signature in upper case", upper)
    bad("signature-one-of-two", "one of two signatures is wrong",
        sig + sign_manifest(b"", [STRANGER]))
    raw = sign_manifest(body, [])
    bad("signature-context", "signed without the context string", raw +
        b"signature ed25519 %s %s\n" % (PUB.hex().encode(),
                                        SIGNER.sign(raw).hex().encode()))
    bad("name-space", "trailing bytes in the first line",
        man(edit=sub("gefrag-manifest", "gefrag-manifest 1 ")))
    p = Set(TEXT, b"man plain", mode=1)
    vec("ok-man-plain", "a plain set with a signed manifest",
        {**take(p, 0, 1), "in/manifest": p.manifest(signers=[SIGNER])},
        0, 3, 0, TEXT, fixed(p, 2), signer=PUB)
    vec("bad-man-plain-recipient", "a recipient in plain mode",
        {**take(p, 0, 1), "in/manifest": p.manifest(
            signers=[SIGNER],
            edit=sub("length", ["recipient x25519", "length %d" %
                                len(TEXT)]))}, 5, 5, 5, signer=PUB)
    e = Set(b"", b"man empty")
    vec("ok-man-empty", "empty input with a signed manifest",
        {**take(e, 0, 1), "in/manifest": e.manifest(signers=[SIGNER])},
        0, 3, 0, b"", fixed(e, 2), signer=PUB)
    three = {**take(THREE, 0, 1)}
    gone = fixed(THREE, (0, 2), (1, 2), (2, 2))
    vec("ok-man-three", "three segments with a signed manifest",
        {**three, "in/manifest": THREE.manifest(
            signers=[SIGNER], places=["0 0-2 0=a 1=b", "0 1-2 2=c"])},
        0, 3, 0, THREE.input, gone, signer=PUB)

    # Signed, well formed, and not what the headers say.
    def remade(seglines, **lines):
        def edit(old):
            segs = [x.split(" ") for x in seglines(
                [x for x in old if x.startswith("segment ")])]
            sizes = [int(x[2]) for x in segs]
            roots = [bytes.fromhex(x[3]) for x in segs]
            out = []
            for x in old:
                word = x.split(" ")[0]
                if word == "segment":
                    continue
                if word == "length":
                    x = "length %d" % sum(sizes)
                if word == "segments":
                    x = "segments %d" % len(segs)
                if word == "digest":
                    out += [" ".join(y) for y in segs]
                    x = "digest " + ref.set_digest(THREE.id, sizes,
                                                   roots).hex()
                out.append(lines.get(word, x))
            return out
        return THREE.manifest(signers=[SIGNER], edit=edit)

    def same(x):
        return x

    def differs(name, note, text, out=b"", true=None, status=5):
        vec("bad-man-" + name, note, {**three, "in/manifest": text}, status,
            status, status, out, true=true, signer=PUB)

    differs("other-u", "another U for segment 0", remade(
        lambda x: [x[0].replace(" 8176 ", " 8175 ")] + x[1:]),
        b"", THREE.input)
    differs("other-u-last", "another U for segment 2", remade(
        lambda x: x[:2] + [x[2].replace(" 100 ", " 101 ")]),
        PARTS[0] + PARTS[1], THREE.input)
    differs("fewer", "one segment less", remade(lambda x: x[:2]),
            PARTS[0], THREE.input)
    differs("more", "one segment more", remade(
        lambda x: x + ["segment 3 5 " + H(b"root").hex()]),
        PARTS[0] + PARTS[1], THREE.input)
    differs("other-root", "another root for segment 1", remade(
        lambda x: [x[0], "segment 1 8176 " + H(b"root").hex(), x[2]]),
        PARTS[0], THREE.input)
    differs("swapped", "the roots of segments 0 and 1 swapped", remade(
        lambda x: ["segment 0" + x[1][9:], "segment 1" + x[0][9:], x[2]]),
        b"", THREE.input)
    differs("other-mode", "mode plain", remade(same, mode="mode plain"),
            b"", THREE.input)
    differs("other-k", "another k", remade(same, code="code 1 3 3 4096 1"),
            b"", THREE.input)
    differs("other-n", "another n", remade(same, code="code 1 2 4 4096 1"),
            b"", THREE.input)
    differs("other-block", "another B",
            remade(same, code="code 1 2 3 8192 1"), b"", THREE.input)
    bad("u-over", "U of 2^30 + 1", TINY.manifest(signers=[SIGNER], edit=lambda
        x: [re.sub(r"^(length|segment 0) \d+", r"\1 1073741825", y)
            for y in x if not y.startswith("digest")] + [
                "digest " + ref.set_digest(TINY.id, [(1 << 30) + 1],
                                           [TINY.segs[0].root()]).hex()]))
    differs("u-zero", "U = 0 in one of three segments", remade(
        lambda x: [x[0], x[1].replace(" 8176 ", " 0 "), x[2]]))

    # Several manifests.
    old = man()
    prev = H(old).hex()
    new1 = man(serial=1, previous=prev, places=[place, "0 0-0 2=osl"])
    new2 = man(serial=1, previous=prev, places=[place, "0 0-0 2=par"])

    def several(name, note, join, *texts, **pins):
        pins = pins or {"signer": PUB}
        vec(name, note, {**files, **{"in/m%d" % i: x
                                     for i, x in enumerate(texts)}},
            join, 3 if join == 0 else join, join, TEXT if join == 0 else b"",
            fixed(TINY, 2) if join == 0 else {}, **pins)

    several("bad-fork", "two manifests of one serial, both signed", 5, old,
            new1, new2)
    several("bad-fork-zero", "two manifests of serial 0, both signed", 5, old,
            man(name="other.txt"))
    several("ok-fork-older", "a fork below the highest serial", 0, old,
            man(name="other.txt"), new1)
    several("ok-fork-stranger", "the other one is signed by somebody else", 0,
            new1, man(serial=1, previous=prev, signers=[STRANGER]))
    several("ok-fork-unsigned", "the other one is not signed", 0, new1,
            man(serial=1, previous=prev, signers=[]))
    several("ok-fork-malformed", "the other one is malformed", 0, new1,
            new2.replace(b"osl", b"par") + b"x\n")
    signature = old[old.rindex(b"signature "):]
    several("ok-fork-copied-signature", "the same with its signature twice: "
            "no fork, for both say the same", 0, old, old + signature)
    several("ok-fork-other-signature", "the same, signed by another, too: "
            "no fork", 0, old, man(signers=[SIGNER, STRANGER]))
    several("ok-signatures-16", "16 signatures", 0, old + 15 * signature)
    several("bad-signatures-17", "17 signatures", 5, old + 16 * signature)
    several("ok-fork-unpinned", "a fork nobody asked about", 0, new1, new2,
            set=TINY.id)
    several("ok-fork-digest", "two manifests of the digest named, no signer",
            0, new1, new2, digest=TINY.digest())

    # Whoever sees the fragments can write these: only the roots are proven.
    forged = man(serial=9, previous=prev, signers=[],
                 edit=sub("code", "code 1 2 4 4096 1"))
    several("ok-digest-forged", "the digest named, and a manifest of it whose "
            "code line lies", 0, forged, digest=TINY.digest())
    several("ok-digest-forged-newer", "the same beside the true one, which "
            "has a lower serial", 0, old, forged, digest=TINY.digest())
    several("ok-digest-forged-mode", "the same with another mode", 0,
            man(serial=9, previous=prev, signers=[],
                edit=sub("mode", "mode plain")), digest=TINY.digest())
    several("ok-signer-before-digest", "signer and digest named: the signed "
            "one counts, whatever serial the other has", 0, old, forged,
            digest=TINY.digest(), signer=PUB)

    several("ok-named-before-digest", "the same with the true one named", 0,
            forged, digest=TINY.digest(), manifest=TINY.manifest())

    def other_root(**kw):
        root = H(b"root")
        return TINY.manifest(edit=lambda x: [
            "segment 0 %d %s" % (len(TEXT), root.hex())
            if y.startswith("segment ") else
            "digest " + ref.set_digest(TINY.id, [len(TEXT)], [root]).hex()
            if y.startswith("digest") else y for y in x], **kw)

    several("bad-serial-newer", "the highest serial has another root", 5, old,
            other_root(serial=1, previous=prev, signers=[SIGNER]))
    several("ok-serial-older", "a lower serial has another root", 0, new1,
            other_root(signers=[SIGNER]))
    several("ok-serial-stranger", "a higher serial signed by somebody else",
            0, old, other_root(serial=9, previous=prev, signers=[STRANGER]))
    for what, code in (("code", "2 2 3 4096 1"), ("alpha", "1 2 3 4096 0"),
                       ("k", "1 1 3 4096 1"), ("n", "1 2 65 4096 1"),
                       ("block", "1 2 3 2048 1")):
        several("ok-serial-malformed-" + what, "the highest serial is "
                "malformed (code %s), and so ignored" % code, 0, old,
                man(serial=1, previous=prev, edit=sub("code",
                                                      "code " + code)))
    several("bad-serial-disagrees", "the highest serial is well formed and "
            "has another n", 5, old, man(serial=1, previous=prev,
                                         edit=sub("code", "code 1 2 4 4096 1")
                                         ))
    several("ok-man-ignored", "a manifest with another root, nothing pinned",
            0, other_root(), set=TINY.id)
    several("ok-man-ignored-malformed", "a malformed manifest, nothing "
            "pinned", 0, b"gefrag-manifest what?\n", set=TINY.id)
    several("ok-man-ignored-signed", "a signed manifest with another root, "
            "no signer named", 0, other_root(signers=[SIGNER]), set=TINY.id)
    several("bad-man-gone", "a signer named, no manifest at all", 5)
    several("bad-man-other-set", "the signer's manifest is of another set "
            "than the one named", 5, OTHER.manifest(signers=[SIGNER]),
            set=TINY.id, signer=PUB)
    several("bad-man-and-digest", "the signer's manifest has another digest "
            "than the one named", 5, old, digest=OTHER.digest(), signer=PUB)
    several("ok-man-and-digest", "signer and digest agree", 0, old,
            digest=TINY.digest(), signer=PUB)
    several("ok-man-and-set", "signer and set agree", 0, old, set=TINY.id,
            signer=PUB)
    several("bad-named-set", "the manifest named is of another set than the "
            "set named", 5, manifest=OTHER.manifest(), set=TINY.id)
    several("bad-named-digest", "the manifest named has another digest than "
            "the one named", 5, manifest=TINY.manifest(),
            digest=OTHER.digest())
    several("bad-named-unsigned", "the manifest named is not signed by the "
            "signer named", 5, manifest=TINY.manifest(), signer=PUB)
    several("ok-named-signed", "the manifest named is signed by the signer "
            "named", 0, manifest=old, signer=PUB)
    several("ok-named", "the manifest named, not signed", 0,
            manifest=TINY.manifest())
    several("ok-named-other-signed", "the manifest named is not signed, but "
            "an equal one of the signer is there", 0, new1,
            manifest=TINY.manifest(), signer=PUB)
    several("bad-named-malformed", "the manifest named is malformed", 5,
            manifest=old.replace(b"serial 0", b"serial 00"))
    several("bad-named-cut", "the manifest named is cut", 5,
            manifest=old[:200])
    several("bad-named-root", "the manifest named has another root", 5,
            manifest=other_root())
    several("bad-named-against-signer", "the manifest named and the signer's "
            "disagree", 5, other_root(serial=1, previous=prev,
                                      signers=[SIGNER]),
            manifest=TINY.manifest(), signer=PUB)
    several("bad-named-against-newer", "the same, and the signer's is the "
            "newer and the right one: pins that contradict each other", 5,
            new1, manifest=other_root(), signer=PUB)
    several("bad-named-wrong-signature", "the manifest named has a wrong "
            "signature, nobody asked for one", 5,
            manifest=sig.replace(b"note.txt", b"none.txt"))


# Archives ---------------------------------------------------------------

def tar_entry(name, data, kind=b"0", link=b""):
    name = name if isinstance(name, bytes) else name.encode()
    h = name[:100].ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + \
        b"%011o\0" % len(data) + b"00000000000\0" + b" " * 8 + kind + \
        link.ljust(100, b"\0") + b"ustar\0" + b"00" + bytes(64) + \
        b"0000000\0" * 2
    h = h.ljust(512, b"\0")
    h = patch(h, 148, b"%06o\0 " % sum(h))
    return h + data + bytes(-len(data) % 512)


def pax_entry(name, data):
    name = name if isinstance(name, bytes) else name.encode()

    def record(key, value):
        body = b" " + key + b"=" + value + b"\n"
        count = len(body) + len(str(len(body) + 2))
        return b"%d" % count + body

    rec = record(b"path", name) + record(b"comment", b"x" * 100)
    return tar_entry(b"pax", rec, b"x") + tar_entry(b"short", data)


def archives():
    """Section 9."""
    end = bytes(1024)
    f = [TINY.segs[0].frag(i) for i in range(3)]
    base = TINY.id.hex() + "/"
    names3 = [base + frag_name(0, i) for i in range(3)]
    plain = [tar_entry(n, x) for n, x in zip(names3, f)]

    def ok(name, note, tar, verify=0, made=(), out=TEXT, **kw):
        s = kw.pop("of", TINY)
        vec("ok-tar" + name, note, {"stream.tar": tar}, 0, verify, 0, out,
            fixed(s, *made), tar=True, **kw)

    def bad(name, note, tar, status=4, out=b"", **kw):
        vec("bad-tar-" + name, note, {"stream.tar": tar}, status,
            kw.pop("verify", status), kw.pop("repair", status), out,
            tar=True, **kw)

    def stream(s, items, tail=end):
        """An archive of (segment, index) in this order."""
        return b"".join(tar_entry("%s/%s" % (s.id.hex(), frag_name(a, b)),
                                  s.segs[a].frag(b))
                        for a, b in items) + tail

    allof = [(a, b) for a in range(3) for b in range(3)]
    ok("", "as gefrag writes it, the manifest last", stream(
        THREE, allof, tar_entry(THREE.id.hex() + "/manifest",
                                THREE.manifest()) + end), of=THREE,
       out=THREE.input)
    ok("-shuffled", "the manifest first, any order", tar_entry(
        "manifest", THREE.manifest()) + stream(
            THREE, [(1, 2), (2, 2), (0, 0), (0, 1), (2, 1), (1, 0)]), 3,
       ((0, 2), (1, 1), (2, 0)), of=THREE, out=THREE.input)
    ok("-backwards", "last segment first", stream(THREE, allof[::-1]),
       of=THREE, out=THREE.input)
    ok("-index-order", "index by index, as one site after the other sends it",
       stream(THREE, [(a, b) for b in range(3) for a in range(3)]), of=THREE,
       out=THREE.input)
    ok("-no-end", "no zero blocks at the end", b"".join(plain))
    ok("-one-zero-block", "one zero block at the end",
       b"".join(plain) + bytes(512))
    ok("-more-zeros", "more zeros at the end", b"".join(plain) + bytes(8192))
    ok("-junk-after-end", "junk after the two zero blocks",
       b"".join(plain) + end + noise(512))
    ok("-dotdot", "names with ..: they mean nothing", b"".join(
        tar_entry("../../%d/../etc/passwd" % i, x)
        for i, x in enumerate(f)) + end)
    ok("-absolute", "absolute names", b"".join(
        tar_entry("/" + n, x) for n, x in zip(names3, f)) + end)
    ok("-newline", "names with a newline", b"".join(
        tar_entry("a\n%d" % i, x) for i, x in enumerate(f)) + end)
    ok("-not-utf8", "names that are not UTF-8", b"".join(
        tar_entry(b"\xff\xfe%d" % i, x) for i, x in enumerate(f)) + end)
    ok("-same-name", "one name for three fragments", b"".join(
        tar_entry("x", x) for x in f) + end)
    ok("-twice", "every entry twice", b"".join(plain + plain) + end)
    ok("-pax", "pax headers", b"".join(
        pax_entry("long/" * 30 + "%d" % i, x) for i, x in enumerate(f)) + end)
    ok("-pax-not-utf8", "pax headers, a name that is not UTF-8", b"".join(
        pax_entry(b"\xc3\x28%d" % i, x) for i, x in enumerate(f)) + end)
    ok("-gnu", "GNU long names", b"".join(
        tar_entry("././@LongLink", b"long/" * 30 + b"%d\0" % i, b"L") +
        tar_entry("short", x) for i, x in enumerate(f)) + end)
    ok("-old", "old archives: type is a zero byte", b"".join(
        tar_entry(n, x, b"\0") for n, x in zip(names3, f)) + end)
    ok("-links", "directories, links and devices among the fragments",
       tar_entry(base, b"", b"5") + plain[0] +
       tar_entry(names3[1], b"", b"2", names3[0].encode()) +
       tar_entry(names3[2], b"", b"1", names3[0].encode()) + plain[1] +
       tar_entry("fifo", b"", b"6") + tar_entry("null", b"", b"3") +
       plain[2] + end)
    bad("links-only", "a symbolic link to a fragment is no fragment",
        plain[0] + tar_entry(names3[1], b"", b"2", names3[0].encode()) + end)
    bad("hard-link", "a hard link to a fragment is no other fragment",
        plain[0] + tar_entry(names3[1], b"", b"1", names3[0].encode()) + end)
    ok("-other-files", "other files among the fragments",
       tar_entry("readme", b"hello\n") + plain[0] + tar_entry("empty", b"") +
       plain[1] + tar_entry("big", noise(3000)) + plain[2] + end)
    ok("-other-set", "a fragment of another set among them", plain[0] +
       tar_entry("x", OTHER.segs[0].frag(0)) + plain[1] + plain[2] + end)
    ok("-cut-spare", "the stream ends in the payload of a spare fragment",
       b"".join(plain)[:2048 + 512 + 340], 3, (2,))
    ok("-cut-header-spare", "the stream ends in the header of a spare "
       "fragment", b"".join(plain)[:2048 + 512 + 100], 3, (2,))
    ok("-cut-after-data", "the stream ends right after the last data byte: "
       "no padding", b"".join(plain)[:2048 + 512 + 384])
    bad("cut-payload", "the stream ends in the payload of the last fragment "
        "needed", b"".join(plain[:2])[:1024 + 512 + 340])
    bad("cut-header", "the stream ends in its header",
        b"".join(plain[:2])[:1024 + 512 + 100])
    bad("cut-name", "the stream ends after the tar header",
        b"".join(plain[:2])[:1024 + 512])
    bad("cut-entry", "the stream ends between two entries",
        b"".join(plain[:1]))
    bad("empty", "an archive of nothing", end)
    bad("no-fragments", "an archive without fragments",
        tar_entry("readme", b"hello\n") + end)
    bad("few", "k-1 fragments", plain[0] + end)
    bad("two-sets", "two sets, none named", b"".join(plain) + stream(
        OTHER, [(0, 0), (0, 1)]), 5, true=TEXT)
    ok("-set-named", "two sets, one named", b"".join(plain) + stream(
        OTHER, [(0, 0), (0, 1)]), set=TINY.id)
    cut = stream(THREE, allof, b"")
    size = [len(stream(THREE, [(a, 0)], b"")) for a in range(3)]
    bad("cut-second", "the stream ends in the second fragment of segment 1",
        cut[:3 * size[0] + size[1] + 600], 4, PARTS[0])
    bad("cut-last", "the stream ends before segment 2", cut[:3 * size[0] +
                                                          3 * size[1]], 4,
        PARTS[0] + PARTS[1])
    ok("-cut-third", "the stream ends in the last fragment of all",
       cut[:-512], 3, ((2, 2),), of=THREE, out=THREE.input)
    lost = [x for x in allof if x not in ((1, 0), (1, 2))]
    bad("lost-second", "segment 1 has k-1 fragments", stream(THREE, lost), 4,
        PARTS[0])
    bad("digest", "another digest is pinned, which a stream tells at its end",
        stream(THREE, allof), 5, true=THREE.input, digest=TINY.digest())
    ok("-digest", "the digest is pinned", stream(THREE, allof), of=THREE,
       out=THREE.input, digest=THREE.digest())
    liar = Set(THREE.input, b"late liar", setid=THREE.id, deflate=deflate)
    bad("late-tie", "liars after everything has been read: judged again at "
        "the end", stream(THREE, allof, b"") + stream(
            liar, [(0, 0), (0, 1), (0, 2)]), 5, true=THREE.input,
        set=THREE.id)
    ok("-late-liar", "one liar after everything has been read",
       stream(THREE, allof, b"") + stream(liar, [(1, 0)]), of=THREE,
       out=THREE.input)
    ok("-crowd", "after segment 0 has been released, twenty set ids that were "
       "not there before", stream(THREE, allof[:4], b"") + b"".join(
           tar_entry("x", Set(b"y", b"crowd %d" % i).segs[0].frag(0))
           for i in range(20)) + stream(THREE, allof[4:]), of=THREE,
       out=THREE.input)
    sealed = Set(b"".join(PARTS), b"sealed", 3, 5, wraps=[x_pub(ALICE)],
                 deflate=deflate, cuts=[8176, 8176, 100])
    wraps = Set(b"lies\n", b"other wraps", 2, 5, wraps=[x_pub(ALICE)],
                setid=sealed.id)
    ok("-other-wraps-first", "two liars come first, with wraps of their own "
       "for the recipient and no good block", b"".join(
           tar_entry("x", patch(wraps.segs[0].frag(i), -1 - 63 +
                                len(wraps.segs[0].frag(i)), bytes(64)))
           for i in range(2)) + stream(sealed, [(1, 0)], b"") + stream(
               sealed, [(a, b) for a in range(3) for b in range(3)]), 3,
       [(a, b) for a in range(3) for b in (3, 4)], of=sealed,
       out=sealed.input, identity=ALICE)
    signed = THREE.manifest(signers=[SIGNER])
    ok("-signed", "a signer named, his manifest last", stream(
        THREE, allof, tar_entry("manifest", signed) + end), of=THREE,
       out=THREE.input, signer=PUB)
    bad("signer-gone", "a signer named, the stream ends before his manifest",
        stream(THREE, allof, b""), 5, true=THREE.input, signer=PUB)
    bad("signer-cut", "the stream ends in his manifest", stream(
        THREE, allof, b"") + tar_entry("manifest", signed)[:900], 5,
        true=THREE.input, signer=PUB)
    ok("-twice-flipped", "an entry with a wrong block, then the right one",
       plain[0] + tar_entry(names3[1], flip(f[1], -1)) + plain[1] + plain[2] +
       end)


# All of it ----------------------------------------------------------------

def main():
    for group in (basics, frags, headers, wraps, damage, names, sets, groups,
                  keys, stripes, manifests, archives):
        group()
    failures = 0
    for x in os.listdir(HERE):
        if x.endswith(".vec"):
            os.unlink(os.path.join(HERE, x))
    for name, text in VECTORS.items():
        with open(os.path.join(HERE, name + ".vec"), "w",
                  encoding="utf-8") as f:
            f.write(text)
        failures += name.startswith("bad-")
    print("%d vectors, %d of them failures, %d bytes" % (
        len(VECTORS), failures, sum(map(len, VECTORS.values()))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
