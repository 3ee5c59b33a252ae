#!/usr/bin/env python3
"""What other methods reach on Tennessee Eastman: monitor.py DIR.

Fitted on d00.dat.  Limits: "own", of which 1 % of d00's own rows lie beyond, as is
usual; "held", the same of stretches that a model of the other four fifths has not
seen; "oracle", of which 1 % of d00_te lie beyond, which nobody can know.
Mean detection rate of the 18 faults without 3, 9, 15, and false alarms on d00_te.
"""
import sys

import numpy as np
from sklearn.ensemble import IsolationForest

LAGS, STATES, FOLDS = 2, 20, 5


def load(name):
    a = np.loadtxt(sys.argv[1] + "/" + name)
    return a.T if a.shape[0] == 52 else a


def lagged(z, n):
    return np.hstack([z[n - i:len(z) - i] for i in range(n + 1)])


def pca(x, lags):
    mean, sd = x.mean(0), x.std(0)
    z = lagged((x - mean) / sd, lags)
    w, v = np.linalg.eigh(z.T @ z / len(z))
    w, v = w[::-1], v[:, ::-1]
    k = int(np.searchsorted(np.cumsum(w) / w.sum(), 0.9)) + 1

    def score(y):
        z = lagged((y - mean) / sd, lags)
        t = z @ v[:, :k]
        return [(t * t / w[:k]).sum(1), ((z - t @ v[:, :k].T) ** 2).sum(1)]
    return score


def cva(x, lags):
    mean, sd = x.mean(0), x.std(0)

    def both(y):
        z = (y - mean) / sd
        past = lagged(z[:-lags - 1], lags)
        return past, lagged(z[lags + 1:], lags)[:len(past)]
    p, f = both(x)
    n = len(p)
    ridge = 1e-2

    def root(c):
        w, v = np.linalg.eigh(c + ridge * np.eye(len(c)))
        return v / np.sqrt(w) @ v.T
    rp, rf = root(p.T @ p / n), root(f.T @ f / n)
    u, s, vt = np.linalg.svd(rp @ (p.T @ f / n) @ rf)
    j, rest = u[:, :STATES].T @ rp, u[:, STATES:].T @ rp

    def score(y):
        z = (y - mean) / sd
        past = lagged(z, lags)
        return [((past @ j.T) ** 2).sum(1), ((past @ rest.T) ** 2).sum(1)]
    return score


def forest(x):
    f = IsolationForest(n_estimators=200, random_state=0).fit(x)
    return lambda y: [-f.score_samples(y)]


def held(make, x):
    out = None
    edges = np.linspace(0, len(x), FOLDS + 1).astype(int)
    for a, b in zip(edges[:-1], edges[1:]):
        s = make(np.vstack([x[:a], x[b:]]))(x[a:b])
        out = s if out is None else [np.r_[o, t] for o, t in zip(out, s)]
    return out


def main():
    x, te = load("d00.dat"), load("d00_te.dat")
    faults = [load("d%02d_te.dat" % i) for i in range(1, 22)
              if i not in (3, 9, 15)]
    print("%-22s%s" % ("", "   own: found  false  held: found  false"
                       "  oracle: found"))
    for name, stats, make in (
            ("PCA", ("T2", "SPE"), lambda x: pca(x, 0)),
            ("dynamic PCA", ("T2", "SPE"), lambda x: pca(x, LAGS)),
            ("CVA", ("T2", "T2 of the rest"), lambda x: cva(x, LAGS)),
            ("isolation forest", ("",), forest)):
        score = make(x)
        own, nom, out = score(x), score(te), held(make, x)
        found = [score(f) for f in faults]
        for k, stat in enumerate(stats):
            row = "%-22s" % (name + " " + stat)
            for at in (own, out, nom):
                limit = np.quantile(at[k], 0.99)
                rate = np.mean([(f[k][160 - 960:] > limit).mean()
                                for f in found])
                row += "  %9.3f" % rate
                if at is not nom:
                    row += "  %7.4f" % (nom[k] > limit).mean()
            print(row)


main()
