"""wan.py DIR PID...: carry packets between the client and hosts, see ./netns.

Started where the client is; PID is of a process in the network of host I.  Makes
the TUN devices vI here and eth0 there.  The file DIR/I, when there is one, says in
its first line how many ms a packet takes each way, and the rate in Mbit/s (0: any);
what is believed stands in DIR/I.seen.
"""
import ctypes
import fcntl
import heapq
import os
import selectors
import struct
import sys
import time

DIR, PIDS = sys.argv[1], sys.argv[2:]
libc = ctypes.CDLL(None, use_errno=True)
TUNSETIFF, TUN_NO_PI = 0x400454ca, 0x1001
# The way back: a process's own entry changes as it goes.
HOME = '/proc/self/fd/%d' % os.open('/proc/self/ns/net', os.O_RDONLY)
QUEUE = 0.25                    # seconds of the rate; what is more is lost


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, 0x40000000):
        raise OSError(ctypes.get_errno(), 'setns')
    os.close(fd)


def tun(name):
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), TUN_NO_PI))
    return fd


class Line:
    """To a host and back."""

    def __init__(self, i, pid):
        self.file = '%s/%d' % (DIR, i)
        self.delay = self.rate = 0.0
        self.stamp = None
        here = tun('v%d' % i)
        enter('/proc/%s/ns/net' % pid)
        there = tun('eth0')
        enter(HOME)
        self.ways = [[here, there, 0.0], [there, here, 0.0]]

    def look(self):
        try:
            stamp = os.stat(self.file).st_mtime_ns
        except FileNotFoundError:
            stamp = None
        if stamp == self.stamp:
            return
        text = '0 0'
        if stamp:
            with open(self.file) as f:
                text = f.readline().strip()
        ms, mbit = map(float, text.split())
        self.delay, self.rate, self.stamp = ms / 1e3, mbit * 1e6 / 8, stamp
        with open(self.file + '.seen', 'w') as f:
            f.write(text + '\n')


def put(fd, packet):
    try:
        os.write(fd, packet)
    except OSError:
        pass                    # no room, or no host: it is lost


def main():
    sel = selectors.DefaultSelector()
    lines = [Line(i + 1, pid) for i, pid in enumerate(PIDS)]
    for line in lines:
        for way in line.ways:
            sel.register(way[0], selectors.EVENT_READ, (line, way))
    open(DIR + '/ready', 'w').close()
    late, count, looked = [], 0, 0.0
    while True:
        now = time.monotonic()
        if now - looked > 0.05:
            looked = now
            for line in lines:
                line.look()
        while late and late[0][0] <= now:
            _, _, fd, packet = heapq.heappop(late)
            put(fd, packet)
        wait = min(0.05, late[0][0] - now) if late else 0.05
        for key, _ in sel.select(max(wait, 0)):
            line, way = key.data
            for _ in range(64):
                try:
                    packet = os.read(key.fd, 65536)
                except OSError:
                    break
                now = time.monotonic()
                due = now
                if line.rate:
                    begin = max(now, way[2])
                    if begin - now > QUEUE:
                        continue
                    due = way[2] = begin + len(packet) / line.rate
                due += line.delay
                if due <= now and not late:
                    put(way[1], packet)
                else:
                    count += 1
                    heapq.heappush(late, (due, count, way[1], packet))


if __name__ == '__main__':
    main()
