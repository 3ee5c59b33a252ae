"""
gefrag_ref.py: FORMAT.md, version 1, once more, in slow and plain Python.

A second reading of the format, to hold the C programs against: it shares no
code with them and looks for clearness, never for speed.  It encodes with the
test random stream of section 16, and reads, verifies and repairs as sections
8, 10 and 12 say.  Numbers in comments are sections of FORMAT.md.

	frag(...)                       encode an input             section 16
	parse(buf)                      one header                  section 3
	parse_manifest(buf)             one manifest                section 8
	join(files, pins, keys)         status, released bytes      section 10
	verify(files, pins)             status                      12.1
	repair(files, pins, blind)      status, {name: bytes}       12.2
	untar(buf)                      [(name, bytes)]             section 9

files is a list of (name, bytes); the name is never looked at.  Not constant
time, not for secrets.  Needs python3-cryptography.

	/usr/bin/python3 gefrag_ref.py DIR...

checks the vectors DIR/*.vec and DIR/*/expect against this reference.
"""

import base64
import hashlib
import hmac
import os
import re
import struct
import sys
import zlib

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import \
    Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import \
    X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"GEFRAG1\n"
MANIFEST_MAGIC = b"gefrag-manifest "
CREATED = "2025-11-21T06:00:00Z"
LAST, DEFLATED = 1, 2


class Malformed(Exception):
    """A header or a manifest that breaks a rule; str() says which."""


class Stop(Exception):
    """Reading ends here with a status of section 11."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


def H(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def le16(x):
    return struct.pack("<H", x)


def le32(x):
    return struct.pack("<I", x)


def le64(x):
    return struct.pack("<Q", x)


def ceil_div(a, b):
    return -(-a // b)


# CRC32C -----------------------------------------------------------------

def _crc_table():
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
        table.append(crc)
    return table


CRC_TABLE = _crc_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


# GF(2^8) with polynomial 0x11d ------------------------------------------

def gf_mul(a, b):
    r = 0
    while b:
        if b & 1:
            r ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11d
        b >>= 1
    return r


MUL = [bytes(gf_mul(a, b) for b in range(256)) for a in range(256)]
INV = [0] + [MUL[a].index(1) for a in range(1, 256)]


def vec_mul(c, v):
    """The bytes v, each times c."""
    return v.translate(MUL[c])


def vec_add(a, b):
    x = int.from_bytes(a, "little") ^ int.from_bytes(b, "little")
    return x.to_bytes(len(a), "little")


def vec_sum(coeffs, vecs, size):
    out = bytes(size)
    for c, v in zip(coeffs, vecs):
        out = vec_add(out, vec_mul(c, v))
    return out


def invert(rows):
    """Gauss-Jordan over GF(2^8)."""
    k = len(rows)
    a = [bytearray(r) + bytearray(int(i == j) for j in range(k))
         for i, r in enumerate(rows)]
    for col in range(k):
        piv = next(r for r in range(col, k) if a[r][col])
        a[col], a[piv] = a[piv], a[col]
        a[col] = bytearray(vec_mul(INV[a[col][col]], bytes(a[col])))
        for r in range(k):
            if r != col and a[r][col]:
                a[r] = bytearray(vec_add(bytes(a[r]),
                                 vec_mul(a[r][col], bytes(a[col]))))
    return [bytes(r[k:]) for r in a]


# 6.3  the code ----------------------------------------------------------

def code_row(i, k):
    if i < k:
        return bytes(int(i == j) for j in range(k))
    if k == 1:
        return b"\1"
    return bytes(INV[i ^ j] for j in range(k))


def code_encode(data, k, n):
    size = len(data[0])
    return data + [vec_sum(code_row(i, k), data, size) for i in range(k, n)]


def code_decode(blocks, k):
    """blocks: {index: bytes}, k of them; the k data blocks."""
    idx = sorted(blocks)
    inv = invert([code_row(i, k) for i in idx])
    src = [blocks[i] for i in idx]
    return [vec_sum(row, src, len(src[0])) for row in inv]


# 5.2  shares ------------------------------------------------------------

def shamir_split(secret, coeffs, n):
    shares = []
    for i in range(n):
        x, acc = i + 1, bytes(32)
        for c in reversed([secret] + coeffs):
            acc = vec_add(vec_mul(x, acc), c)
        shares.append(acc)
    return shares


def shamir_at(shares, k, x):
    """f(x) from {index: share}, the k lowest indices."""
    idx = sorted(shares)[:k]
    out = bytes(32)
    for i in idx:
        c = 1
        for j in idx:
            if j != i:
                c = gf_mul(c, gf_mul(x ^ j + 1, INV[i + 1 ^ j + 1]))
        out = vec_add(out, vec_mul(c, shares[i]))
    return out


# 5.1  key schedule ------------------------------------------------------

def expand(hashname, prk, info, size):
    out, t, i = b"", b"", 1
    while len(out) < size:
        t = hmac.new(prk, t + info + bytes([i]), hashname).digest()
        out, i = out + t, i + 1
    return out[:size]


def derive(kthr, krcp, dh):
    """Message key and key commitment."""
    prk = hmac.new(b"gefrag/v1", kthr + krcp, "sha512").digest()
    okm = expand("sha512", prk, b"gefrag/v1 segment\0" + dh, 64)
    return okm[:32], okm[32:]


# 5.3  wraps -------------------------------------------------------------

def hpke_key(secret, enc, pub, info):
    """RFC 9180, mode base, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
    AES-256-GCM: key and nonce of the first message."""
    def lextract(suite, salt, label, ikm):
        return hmac.new(salt, b"HPKE-v1" + suite + label + ikm,
                        "sha256").digest()

    def lexpand(suite, prk, label, inf, size):
        return expand("sha256", prk, struct.pack(">H", size) + b"HPKE-v1" +
                      suite + label + inf, size)

    kem = b"KEM" + b"\0\x20"
    suite = b"HPKE" + b"\0\x20" + b"\0\x01" + b"\0\x02"
    shared = lexpand(kem, lextract(kem, b"", b"eae_prk", secret),
                     b"shared_secret", enc + pub, 32)
    context = (b"\0" + lextract(suite, b"", b"psk_id_hash", b"") +
               lextract(suite, b"", b"info_hash", info))
    prk = lextract(suite, shared, b"secret", b"")
    return (lexpand(suite, prk, b"key", context, 32),
            lexpand(suite, prk, b"base_nonce", context, 12))


def wrap_info(setid):
    return b"gefrag/v1 recipient\0" + setid


def raw_public(key):
    return key.public_bytes(serialization.Encoding.Raw,
                            serialization.PublicFormat.Raw)


def wrap_x25519(krcp, setid, pub, ephemeral):
    """pub: 32 bytes; ephemeral: 32 bytes, the private key."""
    eph = X25519PrivateKey.from_private_bytes(ephemeral)
    enc = raw_public(eph.public_key())
    secret = eph.exchange(X25519PublicKey.from_public_bytes(pub))
    key, nonce = hpke_key(secret, enc, pub, wrap_info(setid))
    return (b"\1" + bytes(15) + enc + AESGCM(key).encrypt(nonce, krcp, b""))


def passphrase_key(phrase, setid, salt, logn):
    return hashlib.scrypt(phrase, salt=b"gefrag/v1 passphrase\0" + setid +
                          salt, n=1 << logn, r=8, p=1, dklen=32,
                          maxmem=(1 << logn) * 1024 + (1 << 20))


def wrap_passphrase(krcp, setid, phrase, salt, logn):
    key = passphrase_key(phrase, setid, salt, logn)
    return (b"\2" + bytes([logn]) + bytes(14) + salt +
            AESGCM(key).encrypt(bytes(12), krcp, b""))


def unwrap(wrap, setid, keys):
    """K_rcp or None."""
    body, sealed = wrap[16:48], wrap[48:]
    if wrap[0] == 1:
        for priv in keys.get("identity", []):
            try:
                secret = priv.exchange(X25519PublicKey.from_public_bytes(body))
            except ValueError:          # the result is zero
                continue
            pub = raw_public(priv.public_key())
            key, nonce = hpke_key(secret, body, pub, wrap_info(setid))
            try:
                return AESGCM(key).decrypt(nonce, sealed, b"")
            except InvalidTag:
                pass
    elif "passphrase" in keys:
        key = passphrase_key(keys["passphrase"], setid, body, wrap[1])
        try:
            return AESGCM(key).decrypt(bytes(12), sealed, b"")
        except InvalidTag:
            pass
    return None


# 3  the header ----------------------------------------------------------

class Layout:
    """The lengths that follow from the first 64 bytes."""

    def __init__(self, mode, k, n, alpha, w, B, L):
        self.k, self.B, self.L, self.alpha = k, B, L, alpha
        self.t = 0 if mode == 1 else 16
        self.Z = k * B - self.t
        self.T = ceil_div(L, self.Z)
        self.table = 64 + 96 * w + (0 if mode == 1 else 32)
        self.commits = self.table + 32 * n * self.T
        self.share = self.commits + (0 if mode == 1 else 32 * n)
        self.header = self.share + (0 if mode == 1 else 32)
        self.total = self.header
        if self.T:
            self.total += (self.T - 1) * B + self.b(self.T - 1)

    def c(self, s):
        if s < self.T - 1:
            return self.k * self.B
        return self.L - (self.T - 1) * self.Z + self.t

    def b(self, s):
        unit = 64 * self.alpha
        return unit * ceil_div(self.c(s), unit * self.k)


class Header:
    pass


def parse(buf):
    """The header of a fragment, or Malformed.  The order is that of 3."""
    def need(cond, why):
        if not cond:
            raise Malformed(why)

    need(buf[:8] == MAGIC, "bad magic")
    need(len(buf) >= 64, "cut in the first 64 bytes")
    h = Header()
    h.set = bytes(buf[8:24])
    (h.mode, h.code, h.k, h.n, h.alpha, h.w, h.B, h.segment, h.offset, h.U,
     h.L, h.flags, h.index, h.has_share, h.epoch, crc) = struct.unpack_from(
         "<BBBBHHIIQIIBBBBI", buf, 24)
    plain = h.mode == 1
    need(h.mode in (0, 1), "mode")
    need(h.code == 1 and h.alpha == 1, "code")
    need((1 if plain else 2) <= h.k <= h.n <= 64, "k and n")
    need(4096 <= h.B <= 4194304 and h.B & h.B - 1 == 0, "block size")
    need(h.w <= (0 if plain else 16), "number of wraps")
    need(h.flags & ~(LAST | DEFLATED) == 0, "flags")
    need(h.index < h.n, "index")
    need(h.has_share in (0, 1), "has share")
    need(not plain or (h.has_share == 0 and h.epoch == 0),
         "share or epoch in plain mode")
    need(h.U <= 1 << 30, "U")
    if h.flags & DEFLATED:
        need(0 < h.L < h.U, "L of a deflated segment")
    else:
        need(h.L == h.U, "L")
    need(h.U > 0 or (h.segment == 0 and h.flags & LAST), "empty segment")
    need((h.offset == 0) == (h.segment == 0), "offset and segment")
    need(h.offset + h.U < 1 << 63, "offset too large")
    lay = h.lay = Layout(h.mode, h.k, h.n, h.alpha, h.w, h.B, h.L)
    need(lay.T <= 1024, "too many stripes")
    need(len(buf) >= lay.header, "header cut")
    sealed = bytearray(buf[:lay.header if plain else lay.share])
    sealed[60:64] = bytes(4)
    need(crc32c(sealed) == crc, "checksum")
    h.wraps = [bytes(buf[64 + 96 * i:160 + 96 * i]) for i in range(h.w)]
    for x in h.wraps:
        need(x[0] in (1, 2), "kind of wrap")
        need(x[2:16] == bytes(14), "reserved bytes of a wrap")
        if x[0] == 1:
            need(x[1] == 0, "reserved byte of a wrap")
        else:
            need(h.w == 1, "a passphrase is the only wrap")
            need(10 <= x[1] <= 20, "log2 N")
    h.descriptor = bytes(buf[:57]) + b"".join(h.wraps)
    h.kc = None if plain else bytes(buf[lay.table - 32:lay.table])
    h.table = bytes(buf[lay.table:lay.commits])
    h.commits = None if plain else [
        bytes(buf[lay.commits + 32 * i:lay.commits + 32 * i + 32])
        for i in range(h.n)]
    h.share = None if plain else bytes(buf[lay.share:lay.header])
    need(plain or h.has_share or h.share == bytes(32),
         "share bytes without a share")
    h.common = (h.descriptor, h.kc, h.table)
    h.record = None if plain else (h.epoch, tuple(h.commits))
    h.dh = H(b"\5", h.descriptor)
    return h


# 4  hashes --------------------------------------------------------------

def block_hash(dh, index, stripe, block):
    return H(b"\2", bytes([index]), bytes(2), le32(stripe), bytes(24), dh,
             block)


def tree_hash(rows):
    if not rows:
        return H()
    if len(rows) == 1:
        return H(b"\0", rows[0])
    half = 1
    while half * 2 < len(rows):
        half *= 2
    return H(b"\1", tree_hash(rows[:half]), tree_hash(rows[half:]))


def segment_root(h):
    size = 32 * h.n
    rows = [h.table[s * size:(s + 1) * size] for s in range(h.lay.T)]
    return H(b"\3", h.dh, h.kc or bytes(32), tree_hash(rows))


def share_commit(dh, epoch, index, share):
    return H(b"\4", dh, bytes([epoch, index]), share)


def set_digest(setid, lengths, roots):
    return H(b"\6", setid, le64(len(roots)), le64(sum(lengths)), *roots)


# Encoding ---------------------------------------------------------------

class TestRandom:
    """The random stream of section 16."""

    def __init__(self, seed):
        self.seed, self.next, self.buf = seed, 0, b""

    def take(self, size):
        while len(self.buf) < size:
            self.buf += H(self.seed, le64(self.next))
            self.next += 1
        out, self.buf = self.buf[:size], self.buf[size:]
        return out


class Segment:
    """One encoded segment, from which fragments of any epoch are taken.

    f holds the fields of the descriptor: mode code k n alpha w B segment
    offset U L flags.  lie holds what is written instead, where a vector
    needs a header that does not say the truth.
    """

    def __init__(self, setid, f, wraps, krcp, kthr, coeffs, coded, lie={}):
        self.f, self.wraps, self.coded = dict(f), wraps, coded
        self.kthr, self.coeffs, self.krcp = kthr, coeffs, krcp
        self.plain = f["mode"] == 1
        k, n = f["k"], f["n"]
        self.lay = lay = Layout(f["mode"], k, n, f["alpha"], f["w"], f["B"],
                                len(coded))
        v = {**f, **lie}
        self.fixed = MAGIC + setid + struct.pack(
            "<BBBBHHIIQIIB", v["mode"], v["code"], v["k"], v["n"], v["alpha"],
            v["w"], v["B"], v["segment"], v["offset"], v["U"], v["L"],
            v["flags"])
        self.dh = H(b"\5", self.fixed, *wraps)
        self.key = self.kc = None
        if not self.plain:
            self.key, self.kc = derive(kthr, krcp, self.dh)
        self.stripes = []                       # [s][i] blocks
        for s in range(lay.T):
            piece = coded[s * lay.Z:(s + 1) * lay.Z]
            self.stripes.append(self.stripe(s, self.seal(s, piece)))
        self.rehash()

    def seal(self, s, piece):
        if self.plain:
            return piece
        return AESGCM(self.key).encrypt(le64(s) + bytes(4), piece, b"")

    def stripe(self, s, c, pad=b""):
        """The n blocks of the c(s) bytes c; pad replaces the first zeros."""
        k, n, b = self.f["k"], self.f["n"], self.lay.b(s)
        c = (c + pad).ljust(k * b, b"\0")
        return code_encode([c[i * b:(i + 1) * b] for i in range(k)], k, n)

    def rehash(self):
        self.table = b"".join(block_hash(self.dh, i, s, x)
                              for s, row in enumerate(self.stripes)
                              for i, x in enumerate(row))

    def shares(self, epoch=0):
        coeffs = self.coeffs
        if epoch:                       # refreshed: any new coefficients
            rng = TestRandom(b"refresh" + bytes([epoch]) + self.kthr)
            coeffs = [rng.take(32) for _ in coeffs]
        return shamir_split(self.kthr, coeffs, self.f["n"])

    def frag(self, i, epoch=0, share=True, shares=None, commits=None):
        """Fragment i; share: has share; shares, commits: others to use."""
        out = self.fixed + bytes([i, 0 if self.plain else int(share), epoch])
        out += bytes(4) + b"".join(self.wraps)
        own = b""
        if not self.plain:
            shares = shares or self.shares(epoch)
            commits = commits or [share_commit(self.dh, epoch, j, x)
                                  for j, x in enumerate(shares)]
            own = shares[i] if share else bytes(32)
            out += self.kc
        out += self.table + (b"" if self.plain else b"".join(commits))
        out = out[:60] + le32(crc32c(out)) + out[64:] + own
        return out + b"".join(row[i] for row in self.stripes)

    def name(self, i, epoch=0):
        return frag_name(self.f["segment"], i, epoch)

    def root(self):
        return segment_root(parse(self.frag(0)))


def frag_name(segment, i, epoch=0):
    return "%010d.%02d%s.gef" % (segment, i, ".%03d" % epoch if epoch else "")


class Set:
    """An encoded set: id, segs, input."""

    def __init__(self, data, seed, k=2, n=3, B=4096, M=1, mode=0, wraps=(),
                 deflate=None, cuts=None, base={}, each={}, lie={},
                 setid=None):
        """wraps: ("x25519", public), ("passphrase", bytes, log2 N) or
        ("raw", 96 bytes); deflate: the compressor; cuts: own segment
        lengths; base: other descriptor fields; each: the same for one
        segment, by number; lie: see Segment; setid: not the drawn one."""
        rng = TestRandom(seed)
        self.input = data
        self.id = rng.take(16)
        self.id = setid or self.id
        self.kinds = [x[0] for x in wraps]
        f = dict(mode=mode, code=1, k=k, n=n, alpha=1, w=len(wraps), B=B)
        f.update(base)
        krcp, out = bytes(32), []
        if wraps:
            krcp = rng.take(32)
            for x in wraps:
                r = rng.take(32)
                if x[0] == "x25519":
                    out.append(wrap_x25519(krcp, self.id, x[1], r))
                elif x[0] == "raw":
                    out.append(x[1])
                else:
                    out.append(wrap_passphrase(krcp, self.id, x[1], r, x[2]))
        self.wraps, self.segs = out, []
        size = M * (f["k"] * f["B"] - (0 if f["mode"] == 1 else 16))
        if cuts is None:
            cuts = [len(data[a:a + size])
                    for a in range(0, len(data), size)] or [0]
        off = 0
        for number, U in enumerate(cuts):
            piece = coded = data[off:off + U]
            flags = LAST if number == len(cuts) - 1 else 0
            if deflate and len(deflate(piece)) < U:
                coded, flags = deflate(piece), flags | DEFLATED
            g = dict(segment=number, offset=off, U=U, L=len(coded),
                     flags=flags)
            g.update({x: base[x] for x in g if x in base})
            g.update(each.get(number, {}))
            kthr, coeffs = None, []
            if f["mode"] != 1:
                kthr = rng.take(32)
                coeffs = [rng.take(32) for _ in range(f["k"] - 1)]
            self.segs.append(Segment(self.id, {**f, **g}, out, krcp, kthr,
                                     coeffs, coded, lie))
            off += U

    def lengths(self):
        return [s.f["U"] for s in self.segs]

    def digest(self):
        return set_digest(self.id, self.lengths(),
                          [s.root() for s in self.segs])

    def manifest(self, serial=0, previous="-", name=None, places=(),
                 signers=(), edit=None):
        """The manifest; edit(lines) may spoil it before it is signed."""
        f = self.segs[0].f
        lines = ["gefrag-manifest 1", "set " + self.id.hex(),
                 "serial %d" % serial, "previous " + previous]
        if name is not None:
            lines.append("name " + name)
        lines += ["created " + CREATED,
                  "mode " + ("plain" if f["mode"] else "encrypted"),
                  "code %d %d %d %d %d" % (f["code"], f["k"], f["n"], f["B"],
                                           f["alpha"])]
        lines += ["recipient " + x for x in self.kinds]
        lines += ["length %d" % sum(self.lengths()),
                  "segments %d" % len(self.segs)]
        lines += ["segment %d %d %s" % (i, s.f["U"], s.root().hex())
                  for i, s in enumerate(self.segs)]
        lines += ["digest " + self.digest().hex()]
        lines += ["place " + x for x in places]
        if edit:
            lines = edit(lines) or lines
        body = "".join(x + "\n" for x in lines).encode("latin-1")
        return sign_manifest(body, signers)


def sign_manifest(body, signers):
    tail = b""
    for key in signers:
        sig = key.sign(b"gefrag/v1 manifest\0" + body)
        tail += b"signature ed25519 %s %s\n" % (
            raw_public(key.public_key()).hex().encode(), sig.hex().encode())
    return body + tail


# 8  reading a manifest --------------------------------------------------

class Manifest:
    pass


HEX32, HEX64, HEX128 = (re.compile(r"[0-9a-f]{%d}\Z" % x)
                        for x in (32, 64, 128))
NUM = re.compile(r"(0|[1-9][0-9]{0,19})\Z")
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.A)
NAME = re.compile(r"([\x20-\x24\x26-\x7e]|%[0-9A-F]{2}){1,4096}\Z")
SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


def parse_manifest(buf):
    """The manifest, or Malformed.  m.signers: the keys that signed it."""
    def need(cond, why):
        if not cond:
            raise Malformed("manifest: " + why)

    def num(s, limit=(1 << 64) - 1):
        need(NUM.match(s) and int(s) <= limit, "number '%s'" % s)
        return int(s)

    def hexa(s, form):
        need(form.match(s), "hex '%s'" % s)
        return bytes.fromhex(s)

    need(len(buf) <= 64 << 20, "too long")
    need(buf[-1:] == b"\n", "no line feed at the end")
    need(all(x == 10 or 32 <= x < 127 for x in buf), "not ASCII")
    lines = buf.decode("ascii").split("\n")[:-1]
    need(all(len(x) < 8192 for x in lines), "line too long")
    pos = 0

    def more(key):
        return pos < len(lines) and lines[pos].startswith(key + " ")

    def take(key, fields=1):
        nonlocal pos
        need(more(key), "no '%s' line where it belongs" % key)
        rest = lines[pos][len(key) + 1:]
        pos += 1
        if fields == 0:
            return rest
        out = rest.split(" ")
        need(len(out) == fields, "fields of '%s'" % key)
        return out[0] if fields == 1 else out

    m = Manifest()
    m.bytes = buf
    need(take("gefrag-manifest") == "1", "version")
    m.set = hexa(take("set"), HEX32)
    m.serial = num(take("serial"))
    prev = take("previous")
    if prev != "-":
        hexa(prev, HEX64)
    need((m.serial == 0) == (prev == "-"), "serial and previous")
    m.name = None
    if more("name"):
        m.name = take("name", 0)
        need(NAME.match(m.name), "name")
        raw = re.sub(rb"%(..)", lambda x: bytes([int(x.group(1), 16)]),
                     m.name.encode())
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("manifest: name is not UTF-8")
    need(DATE.match(take("created")), "created")
    mode = take("mode")
    need(mode in ("encrypted", "plain"), "mode")
    m.mode = int(mode == "plain")
    m.code = code, k, n, B, alpha = [num(x) for x in take("code", 5)]
    need(code == 1 and alpha == 1, "code")
    need(2 - m.mode <= k <= n <= 64, "k and n")
    need(4096 <= B <= 4194304 and B & B - 1 == 0, "block size")
    m.recipients = []
    while more("recipient"):
        m.recipients.append(take("recipient"))
        need(m.recipients[-1] in ("x25519", "passphrase"), "recipient")
    need(len(m.recipients) <= (0 if m.mode else 16), "recipients")
    need("passphrase" not in m.recipients or len(m.recipients) == 1,
         "a passphrase is the only recipient")
    length = num(take("length"), (1 << 63) - 1)
    count = num(take("segments"), (1 << 32) - 1)
    m.segs = []
    while more("segment"):
        number, U, root = take("segment", 3)
        need(num(number) == len(m.segs), "segment number")
        m.segs.append((num(U, 1 << 30), hexa(root, HEX64)))
    need(len(m.segs) == count and count > 0, "number of segments")
    need(all(U > 0 for U, _ in m.segs) or count == 1, "empty segment")
    need(sum(U for U, _ in m.segs) == length, "length")
    m.digest = hexa(take("digest"), HEX64)
    need(m.digest == set_digest(m.set, [U for U, _ in m.segs],
                                [r for _, r in m.segs]), "digest")
    while more("place"):
        words = take("place", 0).split(" ")
        need(len(words) >= 3, "place")
        num(words[0], 255)
        ends = words[1].split("-")
        need(len(ends) == 2, "place")
        need(num(ends[0]) <= num(ends[1]) < count, "segments of a place")
        before = -1
        for word in words[2:]:
            index, eq, site = word.partition("=")
            need(eq and before < num(index) < n, "index of a place")
            need(SITE.match(site), "site")
            before = int(index)
    body = "".join(x + "\n" for x in lines[:pos]).encode()
    m.body, m.signers = body, []
    while more("signature"):
        kind, key, sig = take("signature", 3)
        need(kind == "ed25519", "kind of signature")
        key, sig = hexa(key, HEX64), hexa(sig, HEX128)
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(
                sig, b"gefrag/v1 manifest\0" + body)
        except InvalidSignature:
            raise Malformed("manifest: signature")
        m.signers.append(key)
    need(len(m.signers) <= 16, "signatures")
    need(pos == len(lines), "line '%s' does not belong" % lines[pos - 1])
    return m


# 9  the pipe stream -----------------------------------------------------

def untar(buf):
    """Regular entries of an archive: ustar, with pax and GNU headers.  What
    a cut leaves of the last entry counts."""
    def octal(b):
        if b[0] & 0x80:
            return int.from_bytes(b, "big") & ((1 << 8 * len(b) - 1) - 1)
        return int(b.split(b"\0")[0].strip() or b"0", 8)

    out, pos, longname, paxsize = [], 0, None, None
    while pos + 512 <= len(buf):
        h = buf[pos:pos + 512]
        pos += 512
        if h == bytes(512):
            break
        if octal(h[148:156]) != sum(h[:148]) + 8 * 32 + sum(h[156:]):
            break
        size = octal(h[124:136])
        kind = h[156:157]
        if kind in b"xg":
            body = buf[pos:pos + size]
            hit = re.search(rb"\d+ size=(\d+)\n", body)
            paxsize = int(hit.group(1)) if hit else paxsize
            hit = re.search(rb"\d+ path=([^\n]*)\n", body)
            longname = hit.group(1) if hit else longname
        elif kind == b"L":
            longname = buf[pos:pos + size].split(b"\0")[0]
        elif kind != b"K":
            size = size if paxsize is None else paxsize
            name = longname or h[:100].split(b"\0")[0]
            if kind in b"0\0":
                out.append((name.decode("utf-8", "replace"),
                            buf[pos:pos + size]))
            elif kind in b"123456":
                size = 0
            longname = paxsize = None
        pos += ceil_div(size, 512) * 512
    return out


# 10.1, 10.2  which set, which headers ------------------------------------

def sort_files(files):
    """[(header, bytes)] and [manifest bytes]."""
    frags, manifests = [], []
    for _, buf in files:
        if buf.startswith(MAGIC):
            try:
                frags.append((parse(buf), buf))
            except Malformed:
                pass                            # as good as absent
        elif buf.startswith(MANIFEST_MAGIC):
            manifests.append(buf)
    return frags, manifests


def evidence(manifests, pins):
    """The authenticated manifest or None (section 8, last paragraphs)."""
    cand = {}                           # what is signed -> Manifest
    named = None

    def add(m, strong):
        """strong: named or signed; else it only has the digest named."""
        m.rootsonly = not strong
        if m.body in cand:
            other = cand[m.body]
            other.signers += m.signers
            other.rootsonly &= m.rootsonly
        else:
            cand[m.body] = m

    if "manifest" in pins:
        try:
            named = parse_manifest(pins["manifest"])
        except Malformed as e:
            raise Stop(5, "the manifest named: %s" % e)
        add(named, True)
    for buf in manifests:
        try:
            m = parse_manifest(buf)
        except Malformed:
            continue
        signed = pins.get("signer") in m.signers
        if signed or m.digest == pins.get("digest"):
            add(m, signed)
    if "signer" in pins:
        if not any(pins["signer"] in m.signers for m in cand.values()):
            raise Stop(5, "no manifest of the signer named")
    if not cand:
        return None
    top = max((not m.rootsonly, m.serial) for m in cand.values())
    best = [m for m in cand.values() if (not m.rootsonly, m.serial) == top]
    if sum(pins.get("signer") in m.signers for m in best) > 1:
        raise Stop(5, "fork")
    m = best[0]
    if "set" in pins and pins["set"] != m.set:
        raise Stop(5, "the set named is not the manifest's")
    if "digest" in pins and pins["digest"] != m.digest:
        raise Stop(5, "the digest named is not the manifest's")
    if named and named.digest != m.digest:
        raise Stop(5, "the manifests disagree")
    return m


class Group:
    def __init__(self, members):
        self.members = members                  # [(header, bytes)]
        self.h = members[0][0]
        self.c = len({h.index for h, _ in members})
        self.viable = self.c >= self.h.k


def groups_of(frags):
    out = {}
    for h, buf in frags:
        out.setdefault(h.common, []).append((h, buf))
    return [Group(x) for x in out.values()]


def pick(groups, m, number):
    """10.2: the group that counts for one segment, or Stop."""
    viable = [g for g in groups if g.viable]
    if m:
        if number >= len(m.segs):
            raise Stop(5, "more segments than the manifest has")
        right = [g for g in groups
                 if segment_root(g.h) == m.segs[number][1]]
        if not right or not right[0].viable:
            raise Stop(5 if viable else 4, "no k fragments of the root")
        h = right[0].h
        told = (h.U, h.mode, h.code, h.k, h.n, h.B, h.alpha)
        if (not m.rootsonly and
                told != (m.segs[number][0], m.mode, *m.code) or
                bool(h.flags & LAST) != (number == len(m.segs) - 1)):
            raise Stop(5, "manifest and header disagree")
        return right[0]
    if not viable:
        raise Stop(4, "no k fragments that agree")
    best = max(groups, key=lambda g: g.c)
    if not best.viable or 2 * best.c <= sum(g.c for g in groups):
        raise Stop(5, "no majority")
    return best


def choose(files, pins):
    """The accepted groups in order, and the Stop that ended them or None."""
    frags, manifests = sort_files(files)
    m = evidence(manifests, pins)
    if m or "set" in pins:
        setid = m.set if m else pins["set"]
    else:
        ids = {g.h.set for g in groups_of(frags) if g.viable}
        if len(ids) != 1:
            raise Stop(5 if ids else 4, "%d sets" % len(ids))
        setid = ids.pop()
    frags = [x for x in frags if x[0].set == setid]
    accepted, end, offset = [], None, 0
    try:
        while True:
            number = len(accepted)
            g = pick(groups_of([x for x in frags
                                if x[0].segment == number]), m, number)
            first = accepted[0].h if accepted else g.h
            if (g.h.descriptor[:36], g.h.wraps) != (first.descriptor[:36],
                                                    first.wraps):
                raise Stop(5, "segments of different sets")
            if g.h.offset != offset:
                raise Stop(5, "offset")
            offset += g.h.U
            accepted.append(g)
            if g.h.flags & LAST:
                break
    except Stop as e:
        end = e
    if "digest" in pins and not m:
        if end:
            raise end
        if set_digest(setid, [g.h.U for g in accepted],
                      [segment_root(g.h) for g in accepted]) != \
                pins["digest"]:
            raise Stop(5, "digest")
    return accepted, end


# 10.3, 10.4  one segment -------------------------------------------------

def valid_share(h):
    return h.has_share and \
        share_commit(h.dh, h.epoch, h.index, h.share) == h.commits[h.index]


def records(group):
    """[(record, {index: share})] with k valid shares, newest epoch first."""
    out = {}
    for h, _ in group.members:
        if valid_share(h):
            out.setdefault(h.record, {})[h.index] = h.share
    return sorted([x for x in out.items() if len(x[1]) >= group.h.k],
                  key=lambda x: -x[0][0])


def block_of(h, buf, s):
    """Block s if it is whole and its hash is right, else None."""
    at, size = h.lay.header + s * h.B, h.lay.b(s)
    block = buf[at:at + size]
    want = h.table[32 * (h.n * s + h.index):][:32]
    if len(block) == size and block_hash(h.dh, h.index, s, block) == want:
        return block
    return None


def good_blocks(group, s):
    out = {}
    for h, buf in group.members:
        block = block_of(h, buf, s)
        if block is not None:
            out[h.index] = block
    return out


def data_blocks(group, s):
    """The k data blocks of stripe s."""
    k, good = group.h.k, good_blocks(group, s)
    if len(good) < k:
        raise Stop(4, "stripe %d: %d good blocks" % (s, len(good)))
    return code_decode({i: good[i] for i in sorted(good)[:k]}, k)


def inflate(coded, U):
    d = zlib.decompressobj(-15)
    try:
        out = d.decompress(coded, U + 1)
    except zlib.error:
        raise Stop(5, "inflate")
    if not d.eof or d.unused_data or len(out) != U:
        raise Stop(5, "inflation not exact")
    return out


def segment_bytes(group, krcp):
    h, key = group.h, None
    if h.mode == 0:
        recs = records(group)
        if not recs:
            raise Stop(4, "fewer than k shares")
        for _, shares in recs:
            key, kc = derive(shamir_at(shares, h.k, 0), krcp, h.dh)
            if kc == h.kc:
                break
        else:
            raise Stop(5, "key commitment")
    coded = b""
    for s in range(h.lay.T):
        raw = b"".join(data_blocks(group, s))
        c = raw[:h.lay.c(s)]
        if any(raw[len(c):]):
            raise Stop(5, "padding")
        if key:
            try:
                c = AESGCM(key).decrypt(le64(s) + bytes(4), c, b"")
            except InvalidTag:
                raise Stop(5, "tag")
        coded += c
    return inflate(coded, h.U) if h.flags & DEFLATED else coded


# What the programs do ----------------------------------------------------

def join(files, pins, keys):
    """Status, released bytes, why."""
    out = b""
    try:
        accepted, end = choose(files, pins)
        krcp = bytes(32)
        for number, group in enumerate(accepted):
            if number == 0 and group.h.w:
                for wrap in group.h.wraps:
                    krcp = unwrap(wrap, group.h.set, keys)
                    if krcp is not None:
                        break
                else:
                    raise Stop(5, "no key opens a wrap")
            out += segment_bytes(group, krcp)
        if end:
            raise end
    except Stop as e:
        return e.status, out, str(e)
    return 0, out, ""


def full_file(h, buf):
    """Exactly the computed size, and every block right."""
    return len(buf) == h.lay.total and \
        all(block_of(h, buf, s) is not None for s in range(h.lay.T))


def whole(group, record):
    """Indices of which some file is whole (12.1)."""
    return {h.index for h, buf in group.members
            if h.record == record and (h.mode == 1 or valid_share(h)) and
            full_file(h, buf)}


def verify(files, pins):
    """Status, why."""
    try:
        accepted, end = choose(files, pins)
        if end:
            raise end
        missing = 0
        for group in accepted:
            record = None
            if group.h.mode == 0:
                recs = records(group)
                if not recs:
                    raise Stop(4, "fewer than k shares")
                record = recs[0][0]
            for s in range(group.h.lay.T):
                if len(good_blocks(group, s)) < group.h.k:
                    raise Stop(4, "fewer than k good blocks")
            missing += group.h.n - len(whole(group, record))
    except Stop as e:
        return e.status, str(e)
    return (3, "degraded") if missing else (0, "")


def sound_record(group):
    """12.2: the record to repair by, and all its n shares."""
    h, recs = group.h, records(group)
    if not recs:
        raise Stop(4, "fewer than k shares")
    for record, shares in recs:
        every = [shamir_at(shares, h.k, i + 1) for i in range(h.n)]
        if all(share_commit(h.dh, record[0], i, x) == record[1][i]
               for i, x in enumerate(every)) and \
                (h.w or derive(shamir_at(shares, h.k, 0), bytes(32),
                               h.dh)[1] == h.kc):
            return record, every
    raise Stop(5, "no sound epoch record")


def carried_record(group):
    """12.2, blind: the newest record that k fragments carry."""
    carried = {}
    for h, _ in group.members:
        carried.setdefault(h.record, set()).add(h.index)
    good = [r for r, x in carried.items() if len(x) >= group.h.k]
    if not good:
        raise Stop(4, "no record on k fragments")
    return max(good, key=lambda r: r[0])


def rebuild(group, i, record, share):
    """Fragment i of the record, with the share or none."""
    h = group.h
    out = bytearray(h.descriptor[:57])
    out += bytes([i, int(share is not None), record[0] if record else 0])
    out += bytes(4) + b"".join(h.wraps) + (h.kc or b"") + h.table
    if record:
        out += b"".join(record[1])
    out[60:64] = le32(crc32c(out))
    if record:
        out += share or bytes(32)
    for s in range(h.lay.T):
        data = data_blocks(group, s)
        block = vec_sum(code_row(i, h.k), data, len(data[0]))
        if block_hash(h.dh, i, s, block) != h.table[32 * (h.n * s + i):][:32]:
            raise Stop(5, "rebuilt block contradicts the table")
        out += block
    return bytes(out)


def repair(files, pins, blind=False):
    """Status, {name: bytes} of what is made, why."""
    made, refused, shareless = {}, None, False
    try:
        accepted, end = choose(files, pins)
        if end:
            raise end
        for group in accepted:
            try:
                record, shares = None, [None] * group.h.n
                if group.h.mode == 0 and blind:
                    record = carried_record(group)
                    have = {h.index for h, buf in group.members
                            if h.record == record and full_file(h, buf)}
                    shared = {h.index for h, buf in group.members
                              if h.record == record and h.has_share}
                    shareless |= len(shared & have) < group.h.n
                else:
                    if group.h.mode == 0:
                        record, shares = sound_record(group)
                    have = whole(group, record)
                for s in range(group.h.lay.T):
                    data_blocks(group, s)
                for i in sorted(set(range(group.h.n)) - have):
                    name = "%s/%s" % (group.h.set.hex(), frag_name(
                        group.h.segment, i, record[0] if record else 0))
                    made[name] = rebuild(group, i, record, shares[i])
            except Stop as e:
                if e.status == 4:
                    raise
                refused = refused or e
        if refused:
            raise refused
    except Stop as e:
        return e.status, {}, str(e)
    return (3 if shareless else 0), made, ""


def frag(data, seed, k, n, block, stripes, mode, recipients=(),
         passphrase=None):
    """op frag of section 16: {name: bytes} and the set digest."""
    wraps = [("x25519", x) for x in recipients]
    if passphrase is not None:
        wraps = [("passphrase", passphrase, 18)]
    s = Set(data, seed, k, n, block, stripes, int(mode == "plain"), wraps)
    out = {"%s/%s" % (s.id.hex(), x.name(i)): x.frag(i)
           for x in s.segs for i in range(n)}
    out[s.id.hex() + "/manifest"] = s.manifest()
    return out, s.digest()


# Checking a vector ------------------------------------------------------

def load_identity(pem):
    return serialization.load_pem_private_key(pem, None)


def load_public(pem):
    return raw_public(serialization.load_pem_public_key(pem))


def inputs(keys, files):
    """files, pins and keys of a join vector, as the functions want them."""
    one = {k: v[-1] for k, v in keys.items()}
    if one["input"] == "tar":
        given = untar(files["stream.tar"])
    else:
        given = sorted((k, v) for k, v in files.items()
                       if k.startswith("in/"))
    pins, secret = {}, {}
    for x in ("set", "digest"):
        if x in one:
            pins[x] = bytes.fromhex(one[x])
    if "manifest" in one:
        pins["manifest"] = files[one["manifest"]]
    if "signer" in one:
        pins["signer"] = load_public(files[one["signer"]])
    if "identity" in one:
        secret["identity"] = [load_identity(files[x])
                              for x in keys["identity"]]
    if "passphrase" in one:
        secret["passphrase"] = one["passphrase"].encode("utf-8")
    return given, pins, secret


def run_vector(keys, files):
    """What this reference makes of a vector: {key: [values]} as in expect."""
    one = {k: v[-1] for k, v in keys.items()}
    out = {}
    if one["op"] == "frag":
        pubs = [load_public(files["recipient%d.pem" % i])
                for i in range(int(one.get("recipients", 0)))]
        phrase = one.get("passphrase")
        made, digest = frag(files["input"], one["seed"].encode(),
                            int(one["k"]), int(one["n"]), int(one["block"]),
                            int(one["stripes"]), one["mode"], pubs,
                            phrase.encode() if phrase is not None else None)
        out["set_digest"] = [digest.hex()]
        out["frag_file"] = ["%s %s" % (x, H(made[x]).hex())
                            for x in sorted(made)]
        return out
    given, pins, secret = inputs(keys, files)
    status, released, _ = join(given, pins, secret)
    out["join"] = [str(status)]
    out["output_sha256"] = [H(released).hex()]
    out["output_length"] = [str(len(released))]
    out["verify"] = [str(verify(given, pins)[0])]
    status, made, _ = repair(given, pins)
    out["repair"] = [str(status)]
    out["repair_file"] = ["%s %s" % (x, H(made[x]).hex())
                          for x in sorted(made)]
    if "repair_blind" in one:
        status, made, _ = repair(given, pins, True)
        out["repair_blind"] = [str(status)]
        out["repair_blind_file"] = ["%s %s" % (x, H(made[x]).hex())
                                    for x in sorted(made)]
    return out


def read_expect(text):
    keys = {}
    for line in text.split("\n"):
        if line:
            key, _, value = line.partition(": ")
            keys.setdefault(key, []).append(value)
    return keys


def read_dir(path):
    """A vector as a directory: expect, and files with .b64 added."""
    with open(os.path.join(path, "expect"), encoding="utf-8") as f:
        keys = read_expect(f.read())
    files = {}
    for top, _, names in os.walk(path):
        for x in names:
            if x.endswith(".b64"):
                full = os.path.join(top, x)
                with open(full, "rb") as f:
                    files[os.path.relpath(full, path)[:-4]] = \
                        base64.b64decode(f.read())
    return keys, files


def read_vec(path):
    """A vector as one text file: see README."""
    keys, files, body = {}, {}, None
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line[:-1]
            if line.startswith(" "):
                body.append(line)
            elif line.startswith("file: "):
                body = files.setdefault(line[6:], [])
            else:
                key, _, value = line.partition(": ")
                keys.setdefault(key, []).append(value)
    return keys, {k: base64.b64decode("".join(v)) for k, v in files.items()}


def check(keys, files):
    """The keys on which expect and this reference disagree."""
    got = run_vector(keys, files)
    void = ("output_sha256", "output_length") \
        if keys.get("output") == ["prefix"] else ()
    return [(k, keys.get(k, []), v) for k, v in got.items()
            if sorted(keys.get(k, [])) != sorted(v) and k not in void]


def main():
    bad = count = 0
    for root in sys.argv[1:]:
        for name in sorted(os.listdir(root)):
            path = os.path.join(root, name)
            if name.endswith(".vec"):
                vector = read_vec(path)
            elif os.path.exists(os.path.join(path, "expect")):
                vector = read_dir(path)
            else:
                continue
            count += 1
            wrong = check(*vector)
            for key, want, got in wrong:
                print("%s: %s: expected %s, got %s" % (name, key, want, got))
            bad += bool(wrong)
    print("%d vectors, %d wrong" % (count, bad))
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main())
