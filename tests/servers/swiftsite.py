"""swiftsite.py DIR TLS NETNS I...: start these sites of DIR (see ./swift).

A site is one process in which the four servers that make a Swift, proxy (with
s3api and tempauth), account, container and object, run from one event loop, with
a ring of one device.  Nothing outside DIR/I is read or written but the code; no
memcached, no syslog, no /etc/swift.  The parent imports Swift once, which is slow,
forks, and ends when all of them listen.

Ports are found by binding them; a site that begins again takes its old ones.
"""
import ctypes
import json
import logging
import os
import random
import signal
import ssl
import sys
import time
import traceback

DIR, TLS, NETNS = sys.argv[1:4]
SITES = [int(a) for a in sys.argv[4:]]

os.closerange(3, 256)
# By this name the filters below are found.
sys.modules['ge_swift'] = sys.modules['__main__']

import eventlet                                             # noqa: E402
import eventlet.hubs                                        # noqa: E402
from eventlet import wsgi                                   # noqa: E402
from eventlet.green import socket                           # noqa: E402
from swift.common import utils                              # noqa: E402
utils.eventlet_monkey_patch()
import swift.account.server                                 # noqa: E402,F401
import swift.container.server                               # noqa: E402,F401
import swift.obj.server                                     # noqa: E402,F401
import swift.proxy.server                                   # noqa: E402,F401
import swift.common.middleware.s3api.s3api                  # noqa: E402,F401
import swift.common.middleware.slo                          # noqa: E402,F401
import swift.common.middleware.tempauth                     # noqa: E402,F401
from swift.common import constraints, storage_policy        # noqa: E402
from swift.common.ring import RingBuilder                   # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp    # noqa: E402

SERVERS = ('proxy', 'account', 'container', 'object')

COMMON = '''[DEFAULT]
swift_dir = {home}
devices = {home}/srv
mount_check = false
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
log_level = WARNING
log_custom_handlers = ge_swift.log_to_file
fallocate_reserve = 0
disable_fallocate = true
recon_cache_path = {home}/recon
'''

# One server that fails for a moment must not close a site for a minute.
PROXY = COMMON + '''
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache name bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
error_suppression_interval = 0.2
error_suppression_limit = 1000000
recheck_account_existence = 2
recheck_container_existence = 2
[filter:cache]
paste.filter_factory = ge_swift:cache_filter
[filter:name]
paste.filter_factory = ge_swift:name_filter
site = {i}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
dns_compliant_bucket_names = false
max_bucket_listing = 1000
[filter:tempauth]
use = egg:swift#tempauth
user_ge_ge = secret-of-site-{i} .admin
''' + ''.join('[filter:%s]\nuse = egg:swift#%s\n' % (f, f) for f in (
    'catch_errors', 'gatekeeper', 'healthcheck', 'bulk', 'copy', 'slo', 'dlo',
    'versioned_writes', 'symlink'))

STORAGE = COMMON + '''
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
'''


class Cache:
    """What Swift wants of memcached, in this process."""

    def __init__(self):
        self.kept = {}

    def get(self, key, **_):
        value, until = self.kept.get(key, (None, 0))
        if value is None or until and until < time.time():
            return None
        return json.loads(value)

    def set(self, key, value, serialize=True, time=0, **_):
        until = globals()['time'].time() + time if time else 0
        self.kept[key] = json.dumps(value), until

    def incr(self, key, delta=1, time=0):
        value = max(0, int(self.get(key) or 0) + int(delta))
        self.set(key, value, time=time)
        return value

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -int(delta), time)

    def delete(self, key, **_):
        self.kept.pop(key, None)

    def set_multi(self, mapping, *_, time=0, **__):
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys, *_, **__):
        return [self.get(key) for key in keys]


def cache_filter(_, **__):
    cache = Cache()

    def filter(app):
        def call(env, start):
            env['swift.cache'] = cache
            return app(env, start)
        return call
    return filter


def name_filter(_, site, **__):
    """tempauth's keys are account:user, which many clients cannot say.  The key is
    not among what a client signs, so it can be called SITEI outside."""
    def filter(app):
        def call(env, start):
            env['HTTP_AUTHORIZATION'] = env.get('HTTP_AUTHORIZATION', '').replace(
                'Credential=SITE%s/' % site, 'Credential=ge:ge/', 1)
            return app(env, start)
        return call
    return filter


def log_to_file(conf, name, to_console, route, fmt, logger, adapted):
    handler = logging.FileHandler(os.path.join(conf['swift_dir'], 'log'))
    handler.setFormatter(logging.Formatter('%(asctime)s ' + fmt))
    logger.addHandler(handler)


def bind(address, port=None):
    """A listening socket; without port on any below the kernel's own."""
    for _ in range(1000):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((address, port or random.randrange(12000, 32000)))
            s.listen(1024)
            return s
        except OSError:
            s.close()
            if port:
                raise
    raise OSError('no free port')


def enter(i):
    """Go to the network namespace of host i."""
    with open('%s/%d/pid' % (NETNS, i)) as f:
        fd = os.open('/proc/%s/ns/net' % f.read().strip(), os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), 'setns')


def write(path, text):
    with open(path + '.new', 'w') as f:
        f.write(text)
    os.rename(path + '.new', path)


def configure(i, home, ports):
    for d in ('srv/d1', 'recon'):
        os.makedirs('%s/%s' % (home, d), exist_ok=True)
    write(home + '/swift.conf',
          '[swift-hash]\nswift_hash_path_suffix = site%d\n'
          '[storage-policy:0]\nname = one\ndefault = yes\n'
          '[swift-constraints]\nmax_header_size = 16384\n' % i)
    for kind, port in zip(SERVERS, ports):
        text = PROXY if kind == 'proxy' else STORAGE
        write('%s/%s.conf' % (home, kind),
              text.format(home=home, port=port, i=i, kind=kind))
        if kind == 'proxy':
            continue
        ring = RingBuilder(4, 1, 0)
        ring.add_dev({'id': 0, 'region': 1, 'zone': 1, 'device': 'd1',
                      'ip': '127.0.0.1', 'port': port, 'weight': 1.0, 'meta': '',
                      'replication_ip': '127.0.0.1', 'replication_port': port})
        ring.rebalance()
        ring.get_ring().save('%s/%s.ring.gz' % (home, kind))


def site(i, ready):
    home = '%s/%d' % (DIR, i)
    address = '127.0.0.1'
    if NETNS:
        enter(i)
        address = '10.77.0.%d' % i
    try:
        with open(home + '/ports') as f:
            ports = [int(p) for p in f.read().split()]
        socks = [bind(address if k == 0 else '127.0.0.1', p)
                 for k, p in enumerate(ports)]
    except FileNotFoundError:
        socks = [bind(address if k == 0 else '127.0.0.1') for k in range(4)]
        ports = [s.getsockname()[1] for s in socks]
        configure(i, home, ports)
        write(home + '/ports', ' '.join(map(str, ports)) + '\n')
        write(home + '/port', '%d\n' % ports[0])
    utils.set_swift_dir(home)
    constraints.reload_constraints()
    storage_policy.reload_storage_policies()
    threads = []
    for kind, sock in zip(SERVERS, socks):
        if kind == 'proxy' and TLS:
            sock = eventlet.wrap_ssl(sock, certfile=TLS + '/server.crt',
                                     keyfile=TLS + '/server.key', server_side=True)
        app = loadapp('%s/%s.conf' % (home, kind), global_conf={'log_name': kind})
        threads.append(eventlet.spawn(
            wsgi.server, sock, app, utils.NullLogger(),
            custom_pool=eventlet.GreenPool(1024), protocol=SwiftHttpProtocol,
            socket_timeout=60, capitalize_response_headers=False))
    write(home + '/pid', '%d\n' % os.getpid())
    os.write(ready, b'.')
    os.close(ready)
    for t in threads:
        t.wait()


def main():
    r, w = os.pipe()
    for i in SITES:
        if os.fork():
            continue
        os.setsid()
        os.close(r)
        # Else all sites would wake up for what comes to one of them.
        eventlet.hubs.use_hub()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        null = os.open('/dev/null', os.O_RDONLY)
        err = os.open('%s/%d/stderr' % (DIR, i),
                      os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for to, fd in enumerate((null, err, err)):
            os.dup2(fd, to)
        try:
            site(i, w)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(w)
    got = 0
    while got < len(SITES):
        b = os.read(r, 64)
        if not b:
            sys.exit('swiftsite.py: %d of %d sites started: see %s/*/stderr' %
                     (got, len(SITES), DIR))
        got += len(b)


if __name__ == '__main__':
    main()
