#!/usr/bin/env python3
"""What tests/unit/ngram.c expects: interpolated modified Kneser-Ney smoothing
of order 3 as Chen and Goodman (1999) define it, in exact fractions, from sets of
n-grams and not from tables.

    ./ngram.py
"""

from collections import Counter
from fractions import Fraction as F
from math import log

VOCAB, END = 13, 12


def stream(seed, n):
    """Tokens that follow each other unevenly; documents of uneven length."""
    x, out, last = seed, [], 0
    for _ in range(n):
        x = (x * 1103515245 + 12345) % 2**31
        r = x >> 16
        if r % 11 == 0:
            last = END
        elif r % 3 == 0:
            last = (last * 5 + 1) % 12
        else:
            last = (r >> 4) * (r >> 4) % 12
        out.append(last)
    return out


def events(tokens):
    """(two before, one before, token), an end in front of each document."""
    out, u, v = [], END, END
    for w in tokens:
        if v == END:
            u = END
        out.append((u, v, w))
        u, v = v, w
    return out


def discounts(counts):
    n = Counter(counts)
    if not (n[1] and n[2] and n[3]):
        return [F(1, 2), F(1), F(3, 2)]
    y = F(n[1], n[1] + 2 * n[2])
    return [max(F(1, 10), i - (i + 1) * y * n[i + 1] / n[i]) for i in (1, 2, 3)]


class Level:
    """grams: n-gram -> count; the last word after the others."""

    def __init__(self, grams):
        self.grams = grams
        self.d = discounts(grams.values())

    def prob(self, context, w, lower):
        after = {g[-1]: c for g, c in self.grams.items() if g[:-1] == context}
        total = sum(after.values())
        if total == 0:
            return lower
        rest = sum(self.d[min(c, 3) - 1] for c in after.values())
        c = after.get(w, 0)
        kept = c - self.d[min(c, 3) - 1] if c else 0
        return (kept + rest * lower) / total


class Model:
    def __init__(self, tokens):
        tri = Counter(events(tokens))
        bi = Counter(t[1:] for t in tri)
        uni = Counter(t[1:] for t in bi)
        self.levels = [Level(uni), Level(bi), Level(tri)]

    def prob(self, u, v, w):
        p = F(1, VOCAB)
        for level, context in zip(self.levels, ((), (v,), (u, v))):
            p = level.prob(context, w, p)
        return p


def main():
    for n in (3, 40, 2000):
        train, val = stream(1, n), stream(7, 300)
        m = Model(train)
        assert all(sum(m.prob(u, v, w) for w in range(VOCAB)) == 1
                   for u in range(VOCAB) for v in range(VOCAB))
        score = events(val)[1:]
        one = Counter(e[2] for e in events(train))
        total = VOCAB + sum(one.values())
        print(n, len(score),
              "%.15g" % (-sum(log(F(one[e[2]] + 1, total))
                              for e in score) / len(score)),
              "%.15g" % (-sum(log(m.prob(*e)) for e in score) / len(score)),
              *("%.15g" % m.prob(*e) for e in ((END, 3, 4), (1, 6, 7),
                                               (9, 0, END))), sep=", ")


main()
