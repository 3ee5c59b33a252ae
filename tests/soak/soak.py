"""tests/soak/soak.py DIR: a year of sites that die and rot, in DIR.

Sites are folders: operators of their own, two in each region.  Each day some die for
good, some for a while, fragments and manifests rot; from time to time a set is pushed
and the oldest removed.  Each night contrib/ge-nightly audits, repairs and keeps the
manifests; a sample, and on each seventh night everything.  A site that has not
answered for some nights is given up (-x) until it answers again or is replaced.  Each
month, and at the end, every set is read and compared.

After each night the placement rule is checked from what has ever lain on the disks
and what any manifest has ever said, knowing only names of files and place lines.

Slow sites are left out: folders cannot be slow without slowing the year down.  The
suites with servers have them.

In the environment, with the defaults:"""
import collections
import glob
import hashlib
import os
import random
import re
import shutil
import subprocess
import sys
import time

DEFAULTS = dict(
    DAYS=365,		# nights
    SEED=1,		# of everything that happens
    SITES=12,		# hosts
    SETS=6,		# kept at a time
    EVERY=20,		# days between one push and the next
    DEATHS=1.5,		# of a site in a year
    GOOD=0.5,		# of the deaths are for good
    RETURN=10,		# days at most until the others return
    GIVEUP=3,		# nights without an answer before -x
    REPLACE=30,		# days until a host that died for good is replaced, empty
    ROT=0.002,		# chance of a fragment or manifest on a day
    MANIFESTS=1,	# 0: manifests do not rot
)
K, N = 6, 9
TRIES = '-O tries=1 '		# a folder that is not there is not there
Y = {k: type(v)(os.environ.get('SOAK_' + k, v)) for k, v in DEFAULTS.items()}
os.chdir(sys.argv[1])
rng = random.Random(Y['SEED'])
count = collections.Counter()
faults = []


class Host:
    def __init__(self, i):
        self.name = 'host%02d' % i
        self.labels = ['operator=op%d' % i, 'region=r%d' % ((i + 1) // 2)]
        self.back = None		# day; None: it is there
        self.since = None		# day of death
        self.lost = False		# for good
        os.mkdir(self.name)

    def up(self):
        return self.back is None

    def given_up(self, day):
        return not self.up() and day - self.since >= Y['GIVEUP']


class Set:
    def __init__(self, number, day):
        self.label = 'set%03d' % number
        self.manifest = 'kept/%s.ge' % self.label
        self.data = rng.randbytes(rng.randrange(1, 300000))
        self.sum = hashlib.sha256(self.data).hexdigest()
        self.born = day
        self.text = ''
        self.placed = set()		# (segment, epoch, index, site), ever
        self.false = set()		# sites that never were
        self.due = False		# to be read


hosts = [Host(i + 1) for i in range(Y['SITES'])]
by_name = {h.name: h for h in hosts}
kept, removed, numbers = [], [], iter(range(1, 10 ** 6))
seen_on_disk = collections.defaultdict(set)


def wrong(day, what):
    faults.append('day %d: %s' % (day, what))
    print('soak: ' + faults[-1], flush=True)


def sh(command, **kw):
    return subprocess.run(command, shell=True, capture_output=True, **kw)


def x_options(day):
    return TRIES + ' '.join('-x ' + h.name for h in hosts if h.given_up(day))


def fragments(host):
    """All of a host that is there: (set id, segment, index, epoch), path."""
    for path in glob.glob(host.name + '/*/*.gef'):
        m = re.fullmatch(r'.*/([0-9a-f]{32})/(\d+)\.(\d+)(?:\.(\d+))?\.gef', path)
        if m:
            yield (m[1], int(m[2]), int(m[3]), int(m[4] or 0)), path


def live(day):
    for h in hosts:
        if not h.up() and h.back <= day:
            if h.lost:
                os.mkdir(h.name)
                count['hosts replaced'] += 1
            else:
                os.rename(h.name + '.away', h.name)
                count['sites that returned'] += 1
            h.back = None
        elif h.up() and rng.random() < Y['DEATHS'] / 365:
            h.since = day
            h.lost = rng.random() < Y['GOOD']
            if h.lost:
                h.back = day + Y['REPLACE']
                shutil.rmtree(h.name)
                count['sites that died for good'] += 1
            else:
                h.back = day + rng.randint(1, Y['RETURN'])
                os.rename(h.name, h.name + '.away')
                count['sites that died for a while'] += 1
        if not h.up():
            continue
        paths = sorted(p for _, p in fragments(h))
        if Y['MANIFESTS']:
            paths += sorted(glob.glob(h.name + '/*/manifest'))
        for path in paths:
            if rng.random() < Y['ROT']:
                rot(path)


def rot(path):
    size = os.path.getsize(path)
    way = rng.choice(('flipped', 'cut', 'deleted'))
    if way == 'deleted':
        os.unlink(path)
    elif way == 'cut':
        os.truncate(path, rng.randrange(size))
    else:
        with open(path, 'r+b') as f:
            at = rng.randrange(size)
            f.seek(at)
            byte = f.read(1)[0] ^ 1 << rng.randrange(8)
            f.seek(at)
            f.write(bytes([byte]))
    count['files ' + way] += 1


def push(day):
    s = Set(next(numbers), day)
    r = sh('gefrag -b 4k -O payload=16k -N %s | gepush -q -s sites %s >new' %
           (s.label, x_options(day)), input=s.data)
    if r.returncode not in (0, 3):
        wrong(day, 'push: status %d: %s' % (r.returncode, r.stderr.decode()))
        return
    os.rename('new', s.manifest)
    kept.append(s)
    count['sets'] += 1
    count['bytes'] += len(s.data)


def remove(day):
    """What was removed goes from sites that come back, too."""
    if len(kept) > Y['SETS']:
        s = kept.pop(0)
        os.rename(s.manifest, s.label + '.removed')
        s.manifest = s.label + '.removed'
        s.id = re.search(r'^set (\w+)', s.text, re.M)[1]
        count['segment days'] += (day - s.born) * s.text.count('\nsegment ')
        removed.append(s)
    for s in removed[:]:
        r = sh('germ -q -f -s sites %s %s' % (TRIES, s.manifest))
        if r.returncode == 0:
            removed.remove(s)
            if glob.glob('host??/%s/*' % s.id):
                wrong(day, s.label + ' was removed and is there')
        elif r.returncode != 1 or all(h.up() for h in hosts):
            wrong(day, 'germ: status %d: %s' % (r.returncode, r.stderr.decode()))
            removed.remove(s)


def night(day):
    r = sh('ge-nightly -v -s sites %s kept' % x_options(day),
           env=dict(os.environ, GE_WHOLE='1234567' if day % 7 == 0 else '0'))
    words = r.stderr.decode()
    count['nights'] += 1
    for m in re.finditer(r'(\d+) fragments rebuilt, (\d+) copied, (\d+) segments',
                         words):
        count['fragments rebuilt'] += int(m[1])
        count['fragments copied'] += int(m[2])
        count['segments given new shares'] += int(m[3])
    for m in re.finditer(r': (\d+) of \d+ fragments whole', words):
        count['fewest'] = min(count['fewest'] or N, int(m[1]))
    count['sets found degraded'] += words.count(': degraded\n')
    if 'LOST' in words:
        wrong(day, 'lost: ' + words)
        count['lost'] += words.count('LOST')
    elif r.returncode not in (0, 1, 3) or 'cannot keep' in words:
        wrong(day, 'ge-nightly: status %d: %s' % (r.returncode, words))
    elif r.returncode and all(h.up() or h.given_up(day) for h in hosts):
        count['nights that could not repair all'] += 1
        trouble.extend('day %d: %s' % (day, line) for line in words.splitlines()
                       if 'manifest' in line or 'not repaired' in line)


trouble = []


def read(day, last=False):
    for s in kept:
        if not s.due and not last:
            continue
        r = sh('set -o pipefail; gepull -q -s sites %s %s | gejoin -q -o back -f' %
               (TRIES, s.manifest), executable='/bin/bash')
        if r.returncode == 0:
            with open('back', 'rb') as f:
                good = hashlib.sha256(f.read()).hexdigest() == s.sum
            if not good:
                wrong(day, s.label + ' came back with other bytes')
                count['wrong'] += 1
            count['readings'] += 1
            s.due = False
        elif r.returncode == 1 and not last:
            count['readings put off'] += 1
        else:
            wrong(day, '%s: status %d: %s' % (s.label, r.returncode,
                                              r.stderr.decode()))
            count['lost'] += 1
            s.due = False


def domains(site):
    return [site] + (by_name[site].labels if site in by_name else [])


def snapshot():
    for h in hosts:
        if h.up():
            for (sid, seg, idx, epoch), _ in fragments(h):
                for d in domains(h.name):
                    seen_on_disk[sid, seg, epoch, d].add(idx)


def rule(day):
    snapshot()
    for s in kept:
        text = open(s.manifest).read()
        sid = re.search(r'^set (\w+)', text, re.M)[1]
        if text != s.text:
            old = re.findall('^place .*', s.text, re.M)
            if re.findall('^place .*', text, re.M)[:len(old)] != old:
                wrong(day, s.label + ': its history was changed')
            for site in sorted(set(re.findall('=(\\S+)', ' '.join(re.findall(
                    '^place .*', text, re.M)))) - set(by_name) - s.false):
                wrong(day, "%s: the manifest kept names '%s'" % (s.label, site))
                s.false.add(site)
            s.text = text
        now = {}
        for m in re.finditer(r'^place (\d+) (\d+)-(\d+) (.*)', text, re.M):
            for seg in range(int(m[2]), int(m[3]) + 1):
                for word in m[4].split():
                    idx, site = word.split('=')
                    now[seg, int(idx)] = site
                    s.placed.add((seg, int(m[1]), int(idx), site))
        held = collections.defaultdict(set)
        ever = collections.defaultdict(set)
        for (seg, idx), site in now.items():
            for d in domains(site):
                held[seg, d].add(idx)
        for seg, epoch, idx, site in s.placed:
            for d in domains(site):
                ever[seg, epoch, d].add(idx)
        for (_, seg, epoch, d), idxs in seen_on_disk.items():
            if _ == sid:
                ever[seg, epoch, d] |= idxs
        count['rules checked'] += len(held) + len(ever)
        count['most ever'] = max([count['most ever']] + [len(v) for v in
                                                         ever.values()])
        for key, v in held.items():
            if len(v) > min(K - 1, N - K):
                wrong(day, '%s: %s holds %s' % (s.label, key, sorted(v)))
                count['broken'] += 1
        for key, v in ever.items():
            if len(v) > K - 1:
                wrong(day, '%s: %s has held %s' % (s.label, key, sorted(v)))
                count['broken'] += 1


def model():
    """What geverify computes; rot, mended in a day, counts for so much less."""
    days = Y['GIVEUP'] + 1
    afr = min(0.99, Y['DEATHS'] * Y['GOOD'] + Y['ROT'] * 365 / days)
    r = sh('geverify -s sites -O afr=%g -O repair-days=%d -O common=0 %s' %
           (afr, days, kept[-1].manifest))
    m = re.search(r'chance of loss in a year (\S+)\)', r.stderr.decode())
    return afr, days, float(m[1]) if m else float('nan')


def main():
    with open('sites', 'w') as f:
        for h in hosts:
            f.write('%s file://%s/%s %s\n' % (h.name, os.getcwd(), h.name,
                                              ' '.join(h.labels)))
    os.mkdir('kept')
    print('soak: %(DAYS)d nights over %(SITES)d sites, seed %(SEED)d: a site dies '
          '%(DEATHS)g times a year,\nsoak: %(ROT)g of the files rot each day' % Y,
          flush=True)
    began = time.monotonic()
    for day in range(1, Y['DAYS'] + 1):
        live(day)
        if day % Y['EVERY'] == 1 or not kept:
            push(day)
        remove(day)
        night(day)
        rule(day)
        for s in kept:
            s.due |= day % 30 == 0
        read(day)
        if day % 73 == 0:
            print('soak: day %d, %d s' % (day, time.monotonic() - began),
                  flush=True)
    # Everybody returns, and all is made whole and read.
    for h in hosts:
        if not h.up():
            os.mkdir(h.name) if h.lost else os.rename(h.name + '.away', h.name)
            h.back = None
    end = Y['DAYS'] + 1
    Y['EVERY'] = end + 1
    remove(end)
    for _ in range(2):
        night(end)
        rule(end)
    read(end, last=True)
    for s in kept:
        count['segment days'] += (end - s.born) * s.text.count('\nsegment ')
        r = sh('geverify -q -s sites ' + s.manifest)
        if r.returncode:
            wrong(end, '%s is not whole in the end: %s' % (s.label,
                                                           r.stderr.decode()))
    for path in glob.glob('host??/**/.*', recursive=True):
        wrong(end, 'left behind: ' + path)
    afr, days, chance = model()
    years = count['segment days'] / 365
    expected = 1 - (1 - chance) ** years
    for name in ('nights', 'sets', 'bytes', 'sites that died for good',
                 'hosts replaced', 'sites that died for a while',
                 'sites that returned', 'files flipped', 'files cut',
                 'files deleted', 'sets found degraded', 'fragments rebuilt',
                 'fragments copied', 'segments given new shares',
                 'nights that could not repair all', 'readings',
                 'readings put off', 'rules checked'):
        print('%-34s %12d' % (name, count[name]))
    print('%-34s %12d of %d needed' % ('fewest whole fragments seen',
                                       count['fewest'], K))
    print('%-34s %12d of %d allowed' % ('most that a domain ever held',
                                        count['most ever'], K - 1))
    print('%-34s %12d' % ('sets lost', count['lost']))
    print('%-34s %12d' % ('sets with wrong bytes', count['wrong']))
    print('%-34s %12d' % ('rule broken', count['broken']))
    print('%-34s %12.1f' % ('segment-years', years))
    print('model, %.2f losses a year of each fragment, repaired in %d days: '
          '%.1e a segment-year,' % (afr, days, chance))
    print('      %.1e that any is lost; observed: %d lost' % (expected,
                                                             count['lost']))
    print('%d s' % (time.monotonic() - began))
    if os.environ.get('SOAK_WHY'):
        print('\n'.join(trouble))
    if faults:
        print('soak: %d things went wrong; the first: %s' % (len(faults),
                                                             faults[0]))
        sys.exit(1)


main()
