"""faultproxy.py DIR MODE PORTS UPSTREAM...: stand before servers and do harm.

See ./fault, which starts it.  MODE is http, https (TLS towards the client, with
server.crt and server.key of the folder GE_TLS) or tcp (bytes as they come).
UPSTREAM is [http:|https:]host:port.  For each a port is bound, and written, a line
each, to the file PORTS.

DIR/rules.json is a list of rules, read again when it changes, which starts their
counting anew.  The first rule that matches a request (tcp: a connection) acts; no
rule, no harm.  DIR/log gets a JSON line for each.  What a rule may ask of a request:

    site: I             the I-th upstream, from 1
    method: "PUT"       or "PUT,GET"
    path: REGEX         found in the target of the request
    min: n              its body has at least n bytes
    nth: i or [i, ...]  only these of those that match, from 1
    times: n            only the first n of those that are left
    p: 0.1, seed: s     of those that match a part, the same for the same seed

and what it does, several of them if they make sense together:

  instead of asking the server
    status: n           answer that; with code: the S3 error code, body: the body,
                        with {n} the number of the answer; retry_after: seconds,
                        headers: {}; drain: false leaves the body of the request
                        unread
    redirect: URL       307 to there
    skew: seconds       403 RequestTimeTooSkewed, with Date so far from the truth
    older: k            GET: the k-th version before the latest that was put here
    grows: true         GET: bytes of an object that is one longer each time
    garbage: true       what is not HTTP
    empty: true         not a byte; the connection is closed
    reset: true         it is reset
  on the way to the server
    ignore_range: true  the range is not passed on
    shift_range: k      it is, k bytes further; the answer says what was asked
    cut_up: n           reset after n bytes of the body
    flip_up: n          the lowest bit of byte n is turned
    lost_reply: true    all is passed on; the client sees a reset
  on the way back
    stall: s            wait s seconds before the answer
    stall_down: [n, s]  and after n bytes of the body
    cut_down: n         reset after n bytes (fin: true: close)
    truncate: n         n bytes, and a length that says so
    flip_down: n        the lowest bit of byte n is turned
    etag: S             this ETag
    content_range: S    this Content-Range
    set: {name: value}  this header
    blank: true         the body is empty, the status as it was
    gzip: true          packed, and said to be
    endless: true       chunks without end after the body
    rate: n             n bytes a second, both ways
    hostile: [names]    a listing of S3 or DAV has these as well; true: HOSTILE
  tcp
    reset, stall, rate, cut_up, cut_down, flip_up, flip_down, stall_down
"""
import email.utils
import gzip
import hashlib
import itertools
import json
import os
import random
import re
import select
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from xml.sax.saxutils import escape

DIR, MODE, PORTS, UPSTREAMS = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
CHUNK = 65536
SELECTORS = {'site', 'method', 'path', 'min', 'nth', 'times', 'p', 'seed'}
KEEP = 4                        # versions of an object
KEEP_BYTES = 16 << 20           # that are no larger

HOSTILE = ['../../etc/cron.d/x', '/etc/passwd', '..', '.', '', 'a//b', 'a/../../b',
           'tab\there', 'line\nfeed', 'a\r', '-rf', '%2e%2e%2fx', '\u202eabc',
           'x' * 5000]


class Broken(Exception):
    """This connection is to be reset."""


class Ended(Exception):
    """This connection is to be closed."""


class Rules:
    def __init__(self):
        self.lock = threading.Lock()
        self.stamp, self.rules, self.hits, self.uses = None, [], {}, {}

    def load(self):
        name = os.path.join(DIR, 'rules.json')
        try:
            st = os.stat(name)
            stamp = st.st_ino, st.st_mtime_ns, st.st_size
            if stamp != self.stamp:
                with open(name) as f:
                    self.rules = json.load(f)
        except FileNotFoundError:
            stamp, self.rules = None, []
        if stamp != self.stamp:
            self.stamp, self.hits, self.uses = stamp, {}, {}

    def pick(self, site, method='', path='', length=0):
        with self.lock:
            self.load()
            for i, r in enumerate(self.rules):
                if r.get('site', site) != site or length < r.get('min', 0) or \
                   method not in r.get('method', method).split(',') or \
                   not re.search(r.get('path', ''), path):
                    continue
                n = self.hits[i] = self.hits.get(i, 0) + 1
                nth = r.get('nth', n)
                if n not in (nth if isinstance(nth, list) else [nth]):
                    continue
                if random.Random('%s/%d/%d' % (r.get('seed', 0), i, n)).random() \
                        >= r.get('p', 1):
                    continue
                if self.uses.get(i, 0) >= r.get('times', n):
                    continue
                self.uses[i] = self.uses.get(i, 0) + 1
                return r
            return {}


class Versions:
    """What was put, by upstream and path."""

    def __init__(self):
        self.lock, self.kept = threading.Lock(), {}

    def add(self, site, path, body):
        if len(body) <= KEEP_BYTES:
            with self.lock:
                v = self.kept.setdefault((site, path), [])
                v.append(body)
                del v[:-KEEP]

    def get(self, site, path, back):
        with self.lock:
            v = self.kept.get((site, path), [])
            return v[-1 - back] if len(v) > back else None


RULES, VERSIONS = Rules(), Versions()
LOG = threading.Lock()
ANSWERS = itertools.count(1)


def log(**entry):
    with LOG, open(os.path.join(DIR, 'log'), 'a') as f:
        f.write(json.dumps(entry) + '\n')


class Wire:
    """A socket with a buffer."""

    def __init__(self, sock):
        self.sock, self.buf = sock, b''

    def fill(self):
        d = self.sock.recv(CHUNK)
        self.buf += d
        return bool(d)

    def take(self, n):
        if not self.buf:
            self.fill()
        d, self.buf = self.buf[:n], self.buf[n:]
        return d

    def until(self, mark):
        while mark not in self.buf:
            if len(self.buf) > 1 << 20:
                raise Broken('a head too long')
            if not self.fill():
                if self.buf:
                    raise Broken('half a head')
                return None
        d, _, self.buf = self.buf.partition(mark)
        return d

    def waiting(self):
        return self.buf or getattr(self.sock, 'pending', int)()

    def send(self, data):
        self.sock.sendall(data)

    def close(self, reset=False):
        try:
            if reset:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                     struct.pack('ii', 1, 0))
            else:
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        # Not unwrap(): a reset asks nobody.
        self.sock.close()


class Head:
    """A start line and headers; names keep their case, their order counts."""

    def __init__(self, raw):
        lines = raw.decode('latin1').split('\r\n')
        self.start = lines[0]
        self.headers = [tuple(s.strip() for s in h.split(':', 1))
                        for h in lines[1:] if ':' in h]

    def get(self, name, default=None):
        for k, v in self.headers:
            if k.lower() == name.lower():
                return v
        return default

    def drop(self, *names):
        self.headers = [h for h in self.headers
                        if h[0].lower() not in [n.lower() for n in names]]

    def set(self, name, value):
        self.drop(name)
        self.headers.append((name, str(value)))

    def bytes(self):
        return '\r\n'.join([self.start] + ['%s: %s' % h for h in self.headers] +
                           ['', '']).encode('latin1')


def length_of(head, none):
    """Of the body: a number, -1 in chunks, -2 until the end; none if unsaid."""
    if 'chunked' in head.get('transfer-encoding', '').lower():
        return -1
    n = head.get('content-length')
    return int(n) if n is not None else none


def body(wire, length):
    """The pieces of a body: (payload, as it came)."""
    while length == -1:
        line = wire.until(b'\r\n')
        if line is None:
            raise Broken('the body ended early')
        n = int(line.split(b';')[0], 16)
        if n == 0:
            while wire.until(b'\r\n'):
                pass
            yield b'', b'0\r\n\r\n'
            return
        d = b''
        while len(d) < n + 2:
            piece = wire.take(n + 2 - len(d))
            if not piece:
                raise Broken('the body ended early')
            d += piece
        yield d[:-2], line + b'\r\n' + d
    while length:
        d = wire.take(min(CHUNK, length) if length > 0 else CHUNK)
        if not d:
            if length > 0:
                raise Broken('the body ended early')
            return
        length -= len(d) if length > 0 else 0
        yield d, d


def flip(d, at):
    d = bytearray(d)
    d[at] ^= 1
    return bytes(d)


class Harm:
    """What a rule does to the bytes of one way as they pass."""

    def __init__(self, rule, way):
        self.cut, self.flip = rule.get('cut_' + way), rule.get('flip_' + way)
        self.stall = rule.get('stall_' + way)
        self.rate, self.pos = rule.get('rate'), 0
        self.chunked = False

    def send(self, out, d, raw=None):
        a, b = self.pos, self.pos + len(d)
        if self.flip is not None and a <= self.flip < b:
            f = flip(d, self.flip - a)
            raw = raw.replace(d, f) if raw not in (None, d) else None
            d = f
        stop = self.cut is not None and self.cut < b
        at = self.stall is not None and a <= self.stall[0] < b
        if not (stop or at or self.rate):
            out.send(d if raw is None else raw)
            self.pos = b
            return
        end = self.cut - a if stop else len(d)
        i = 0
        while i < end:
            n = end - i
            if at and a + i <= self.stall[0] < a + end:
                n = self.stall[0] - a - i
                if n == 0:
                    time.sleep(self.stall[1])
                    at = False
                    continue
            if self.rate:
                n = max(1, min(n, int(self.rate / 10)))
            p = d[i:i + n]
            out.send(b'%x\r\n%s\r\n' % (n, p) if raw not in (None, d) else p)
            i += n
            if self.rate:
                time.sleep(n / self.rate)
        self.pos = a + i
        if not d and raw:
            out.send(raw)
        if stop:
            time.sleep(0.05)            # what was sent may arrive
            raise Broken('cut after %d' % self.pos)


def error(code):
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code>'
            '<Message>injected</Message></Error>' % escape(code)).encode()


def answer(client, method, status, data, headers=()):
    h = Head(b'HTTP/1.1 %d Injected' % status)
    h.headers = [('Content-Type', 'application/xml'),
                 ('Content-Length', str(len(data)))]
    for k, v in headers:
        h.set(k, v)
    client.send(h.bytes() + (b'' if method == 'HEAD' else data))


def instead(client, head, rule, site, method, path, length):
    """The answer that no server gave; True if there was one."""
    def drain():
        if head.get('expect'):
            client.send(b'HTTP/1.1 100 Continue\r\n\r\n')
        for _ in body(client, length):
            pass

    if rule.get('reset'):
        raise Broken('reset')
    if rule.get('empty'):
        drain()
        raise Ended('empty')
    if rule.get('garbage'):
        drain()
        client.send(b'\x16\x03\x01 this is not HTTP\r\n\r\n')
        raise Ended('garbage')
    headers, data = [], b''
    if 'status' in rule:
        status = rule['status']
        if status >= 300 or 'code' in rule:
            data = error(rule.get('code', 'InternalError'))
        if 'body' in rule:
            data = rule['body'].replace('{n}', str(next(ANSWERS))).encode()
        headers += rule.get('headers', {}).items()
        if 'retry_after' in rule:
            headers.append(('Retry-After', rule['retry_after']))
    elif 'redirect' in rule:
        status = 307
        headers.append(('Location', rule['redirect']))
    elif 'skew' in rule:
        status, data = 403, error('RequestTimeTooSkewed')
        headers.append(('Date', email.utils.formatdate(time.time() + rule['skew'],
                                                       usegmt=True)))
    elif 'older' in rule and method in ('GET', 'HEAD'):
        data = VERSIONS.get(site, path, rule['older'])
        if data is None:
            return False
        status = 200
        headers.append(('ETag', '"%s"' % hashlib.md5(data).hexdigest()))
        r = re.match(r'bytes=(\d+)-(\d*)$', head.get('range', ''))
        if r:
            a = int(r[1])
            b = min(int(r[2] or len(data)), len(data) - 1)
            headers.append(('Content-Range', 'bytes %d-%d/%d' % (a, b, len(data))))
            status, data = 206, data[a:b + 1]
    elif rule.get('grows') and method == 'GET' and head.get('range'):
        a, b = map(int, re.match(r'bytes=(\d+)-(\d+)$', head.get('range')).groups())
        headers.append(('Content-Range', 'bytes %d-%d/%d' % (a, b, b + 2)))
        status, data = 206, b'x' * (b - a + 1)
    else:
        return False
    if rule.get('stall'):
        time.sleep(rule['stall'])
    if rule.get('drain', True):
        drain()
    else:
        headers.append(('Connection', 'close'))
    answer(client, method, status, data, headers)
    if not rule.get('drain', True):
        raise Ended('answered early')
    return True


def worsen(data, names, path):
    """A listing with these names added."""
    names = HOSTILE if names is True else names
    s = data.decode('utf-8', 'replace')
    # XML has no other control characters.
    quote = {'\t': '&#9;', '\n': '&#10;', '\r': '&#13;'}
    if '</ListBucketResult>' in s:
        prefix = re.search('<Prefix>([^<]*)</Prefix>', s)
        prefix = prefix[1] if prefix else ''
        entries = ''.join(
            '<Contents><Key>%s%s</Key><LastModified>2026-01-01T00:00:00.000Z'
            '</LastModified><ETag>"0"</ETag><Size>1</Size></Contents>' %
            (p, escape(n, quote)) for n in names for p in (prefix, ''))
        s = s.replace('</ListBucketResult>', entries + '</ListBucketResult>')
    else:
        m = re.search(r'</(\w+:)?multistatus>', s)
        if m:
            entries = ''.join(
                '<response xmlns="DAV:"><href>%s%s</href><propstat><prop>'
                '<resourcetype/><getcontentlength>1</getcontentlength></prop>'
                '<status>HTTP/1.1 200 OK</status></propstat></response>' %
                (p, escape(n, quote)) for n in names
                for p in (path.rstrip('/') + '/', ''))
            s = s[:m.start()] + entries + s[m.start():]
    return s.encode()


def connect(upstream):
    scheme, _, rest = upstream.rpartition('//')[2].partition(':')
    if scheme not in ('http', 'https'):
        scheme, rest = 'http', upstream
    host, _, port = rest.rpartition(':')
    s = socket.create_connection((host, int(port)))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if scheme == 'https':
        c = ssl.create_default_context()
        c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
        s = c.wrap_socket(s)
    return Wire(s)


def forward(client, server, head, rule, site, method, path, length, entry):
    """Pass a request on and its answer back; False: the connection is over."""
    asked = head.get('range')
    if rule.get('ignore_range'):
        head.drop('range')
    if rule.get('shift_range') and asked:
        head.set('Range', re.sub(
            r'\d+', lambda m: str(int(m[0]) + rule['shift_range']), asked))
    head.set('Connection', 'close')
    server.send(head.bytes())

    # Who expects a word before sending the body may get it, or lose patience.
    if head.get('expect') and length:
        while not (client.waiting() or server.waiting()):
            if select.select([client.sock, server.sock], [], [])[0]:
                break
        early = client.waiting() or \
            client.sock in select.select([client.sock], [], [], 0)[0]
        if not early:
            reply = Head(server.until(b'\r\n\r\n') or b'HTTP/1.1 502 x')
            if reply.start.split()[1] != '100':
                return back(client, server, reply, rule, method, path, asked,
                            entry, True)
            client.send(b'HTTP/1.1 100 Continue\r\n\r\n')

    up, kept, refused = Harm(rule, 'up'), [], False
    for d, raw in body(client, length):
        if sum(map(len, kept)) <= KEEP_BYTES:
            kept.append(d)
        try:
            up.send(server, d, raw)
        except OSError:
            refused = True              # its answer says why
            break
    while True:
        raw = server.until(b'\r\n\r\n')
        if raw is None:
            raise Broken('the server closed without an answer')
        reply = Head(raw)
        if reply.start.split()[1] != '100':
            break
    if method == 'PUT' and reply.start.split()[1][0] == '2':
        VERSIONS.add(site, path, b''.join(kept))
    return back(client, server, reply, rule, method, path, asked, entry, refused)


def back(client, server, reply, rule, method, path, asked, entry, close):
    status = int(reply.start.split()[1])
    entry['status'] = status
    if rule.get('stall'):
        time.sleep(rule['stall'])
    if rule.get('lost_reply'):
        raise Broken('lost_reply')
    length = length_of(reply, -2)
    if method == 'HEAD' or status in (204, 304):
        length = 0
    reply.drop('connection', 'keep-alive')
    if rule.get('shift_range') and asked and status == 206:
        total = reply.get('content-range', '/*').rpartition('/')[2]
        reply.set('Content-Range', 'bytes %s/%s' % (asked.split('=')[1], total))
    if 'etag' in rule:
        reply.set('ETag', rule['etag'])
    if 'content_range' in rule:
        reply.set('Content-Range', rule['content_range'])
    for k, v in rule.get('set', {}).items():
        reply.set(k, v)

    # What needs all of the body.
    if length and (rule.keys() & {'truncate', 'blank', 'gzip', 'hostile'}):
        data = b''.join(d for d, _ in body(server, length))
        if rule.get('hostile'):
            data = worsen(data, rule['hostile'], path)
        if rule.get('blank'):
            data = b''
        if 'truncate' in rule:
            data = data[:rule['truncate']]
        if rule.get('gzip'):
            data = gzip.compress(data)
            reply.set('Content-Encoding', 'gzip')
        reply.drop('transfer-encoding')
        reply.set('Content-Length', len(data))
        pieces = [(data, None)]
    else:
        pieces = body(server, length)
    close = close or reply.get('content-length') is None and length == -2
    if rule.get('endless'):
        reply.drop('content-length')
        reply.set('Transfer-Encoding', 'chunked')
    if close:
        reply.set('Connection', 'close')
    client.send(reply.bytes())
    down = Harm(rule, 'down')
    try:
        for d, raw in pieces:
            if not rule.get('endless'):
                down.send(client, d, raw)
            elif d:
                client.send(b'%x\r\n%s\r\n' % (len(d), d))
    except Broken as e:
        if rule.get('fin'):
            raise Ended(*e.args)
        raise
    while rule.get('endless'):
        client.send(b'%x\r\n%s\r\n' % (CHUNK, bytes(CHUNK)))
    return not close


def http(client, site, upstream):
    while True:
        raw = client.until(b'\r\n\r\n')
        if raw is None:
            return
        head = Head(raw)
        method, path = (head.start.split(' ') + [''])[:2]
        length = length_of(head, 0)
        rule = RULES.pick(site, method, path, max(length, 0))
        entry = {'site': site, 'method': method, 'path': path, 'len': length,
                 'range': head.get('range'), 'harm': sorted(rule.keys() - SELECTORS)}
        server = None
        try:
            if instead(client, head, rule, site, method, path, length):
                go = True
            else:
                server = connect(upstream)
                go = forward(client, server, head, rule, site, method, path,
                             length, entry)
            if not go:
                return
        except (Broken, Ended, OSError, ValueError) as e:
            entry['end'] = '%s: %s' % (type(e).__name__, e)
            if server and not isinstance(e, Ended):
                server.close(reset=True)
            raise
        finally:
            log(**entry)
            if server:
                server.close()


def tcp(client, site, upstream):
    rule = RULES.pick(site)
    entry = {'site': site, 'harm': sorted(rule.keys() - SELECTORS)}
    server = None
    try:
        if rule.get('reset'):
            raise Broken('reset')
        if rule.get('stall'):
            time.sleep(rule['stall'])
        server = connect(upstream)
        ways = {client.sock: (server, Harm(rule, 'up')),
                server.sock: (client, Harm(rule, 'down'))}
        while ways:
            for s in select.select(list(ways), [], [])[0]:
                out, harm = ways[s]
                d = s.recv(CHUNK)
                if d:
                    harm.send(out, d)
                else:
                    out.sock.shutdown(socket.SHUT_WR)
                    del ways[s]
    except (Broken, OSError) as e:
        entry['end'] = '%s: %s' % (type(e).__name__, e)
        if server:
            server.close(reset=True)
        raise
    finally:
        log(**entry)
        if server:
            server.close()


def serve(sock, site, upstream, context):
    client = Wire(sock)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            client.sock = context.wrap_socket(sock, server_side=True)
        (tcp if MODE == 'tcp' else http)(client, site, upstream)
    except Ended:
        client.close()
    except (Broken, OSError, ValueError, IndexError):
        client.close(reset=True)
    else:
        client.close()


def accept(listener, site, upstream, context):
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=serve, args=(sock, site, upstream, context),
                         daemon=True).start()


def listen():
    while True:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(('127.0.0.1', random.randrange(12000, 32000)))
            s.listen(128)
            return s
        except OSError:
            s.close()


def main():
    context = None
    if MODE == 'https':
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.environ['GE_TLS'] + '/server.crt',
                                os.environ['GE_TLS'] + '/server.key')
    elif MODE not in ('http', 'tcp'):
        sys.exit('faultproxy: %s: http, https or tcp' % MODE)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    listeners = [listen() for _ in UPSTREAMS]
    for i, (s, u) in enumerate(zip(listeners, UPSTREAMS)):
        threading.Thread(target=accept, args=(s, i + 1, u, context),
                         daemon=True).start()
    with open(PORTS + '.new', 'w') as f:
        f.writelines('%d\n' % s.getsockname()[1] for s in listeners)
    os.rename(PORTS + '.new', PORTS)
    while True:
        signal.pause()


if __name__ == '__main__':
    main()
