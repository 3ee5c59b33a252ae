#!/usr/bin/env python3
"""What tests/unit/{metrics,calibrate,linear}.c expect, by scikit-learn and scipy.

    ./scores.py metrics|calibrate|linear
"""

import sys
import warnings

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn import metrics as M
from sklearn.calibration import _sigmoid_calibration
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression, Ridge

warnings.filterwarnings("ignore")


class Stream:
    """The same numbers as next() of those tests."""

    def __init__(self, seed):
        self.x = seed

    def next(self):
        self.x = (self.x * 1103515245 + 12345) & 0x7FFFFFFF
        return self.x >> 16


def show(values):
    print("{ " + ", ".join("%.12g" % v for v in values) + " }")


def classes(k, n, seed):
    s = Stream(seed)
    p, y, w = np.zeros((n, k)), np.zeros(n, int), np.zeros(n)
    for i in range(n):
        y[i] = s.next() % k
        r = [1 + s.next() % 20 for _ in range(k)]
        r[y[i]] += s.next() % 15
        p[i] = np.array(r, float) / sum(r)
        w[i] = 1 + s.next() % 4
    return p, y, w


def ece(p, hit, w):
    b = np.clip(np.ceil(p * 15).astype(int) - 1, 0, 14)
    return sum(abs((w * (p - hit))[b == i].sum()) for i in range(15)) / w.sum()


def of_classes(p, y, w, said=None):
    k, each = p.shape[1], np.ones(len(y)) if w is None else w
    said = p.argmax(1) if said is None else said
    if k == 2:
        brier = M.brier_score_loss(y, p[:, 1], sample_weight=w)
        how, ones = {"average": "binary"}, [1]
        off = ece(p[:, 1], y == 1, each)
    else:
        brier = (each * ((p - np.eye(k)[y]) ** 2).sum(1)).sum() / each.sum()
        how, ones = {"average": "macro"}, range(k)
        off = ece(p.max(1), p.argmax(1) == y, each)
    show([
        M.log_loss(y, p, sample_weight=w, labels=range(k)),
        brier,
        M.accuracy_score(y, said, sample_weight=w),
        M.precision_score(y, said, sample_weight=w, **how),
        M.recall_score(y, said, sample_weight=w, **how),
        M.f1_score(y, said, sample_weight=w, **how),
        np.mean([M.roc_auc_score(y == c, p[:, c], sample_weight=w)
                 for c in ones]),
        np.mean([M.average_precision_score(y == c, p[:, c], sample_weight=w)
                 for c in ones]),
        off])


def of_numbers(p, y, w):
    each, d = np.ones(len(y)) if w is None else w, p - y
    show([
        M.mean_squared_error(y, p, sample_weight=w) ** 0.5,
        M.mean_absolute_error(y, p, sample_weight=w),
        M.r2_score(y, p, sample_weight=w),
        (each * np.where(d < 0, np.expm1(-d / 13), np.expm1(d / 10))).sum()])


def metrics():
    p, y, w = classes(2, 300, 1)
    of_classes(p, y, None)
    of_classes(p, y, w)
    of_classes(p, y, w, (p[:, 1] >= 0.3).astype(int))
    r = np.arange(0, 300, 3)
    of_classes(p[r], y[r], w[r])
    p, y, w = classes(4, 400, 2)
    of_classes(p, y, None)
    of_classes(p, y, w)
    s, rows = Stream(3), []
    for _ in range(200):
        t = s.next() % 125
        rows.append((t + s.next() % 41 - 20, t, 1 + s.next() % 4))
    p, y, w = np.array(rows, float).T
    of_numbers(p, y, None)
    of_numbers(p, y, w)


def truth(kind, m):
    """The probability of class 1 at margin m, in three worlds."""
    if kind == "none":
        return expit(m)
    if kind == "sigmoid":
        return expit(2.5 * m - 1.25)
    return 0.1 if m < -1 else 0.35 if m < 1 else 0.85


def two(kind, n, seed):
    s, rows = Stream(seed), []
    for _ in range(n):
        m = (s.next() % 2001 - 1000) / 256
        y = s.next() % 10000 / 10000 < truth(kind, m)
        rows.append((m, y, 1 + s.next() % 4))
    m, y, w = np.array(rows, float).T
    return m, y.astype(int), w


def many(n, seed, slope):
    """Margins of three classes; classes drawn with those times slope."""
    s, m, y = Stream(seed), [], []
    for _ in range(n):
        r = [(s.next() % 2001 - 1000) / 256 for _ in range(3)]
        u = s.next() % 10000 / 10000
        p = np.cumsum(softmax(np.array(r) * slope))
        m.append(r)
        y.append(min(int((p <= u).sum()), 2))
    return np.array(m), np.array(y)


AT = np.array([-5, -3.5, -2, -1, -0.25, 0, 0.5, 1, 2.25, 3.5, 5])


def isotonic(x, y, w=None):
    edge = 1 / (len(y) + 2)
    return IsotonicRegression(y_min=edge, y_max=1 - edge,
                              out_of_bounds="clip").fit(x, y, w).predict


def temperature(m, y):
    loss = lambda t: -log_softmax(m * t, axis=1)[range(len(y)), y].sum()
    return minimize_scalar(loss, bounds=(0.01, 20), method="bounded",
                           options={"xatol": 1e-12}).x


def sigmoid(m, y):
    a, b = _sigmoid_calibration(m, y)
    return lambda x: expit(-a * x - b)


def held(fit, m, y):
    total, fold = 0, np.arange(len(y)) % 5
    for f in range(5):
        p = fit(m[fold != f], y[fold != f])(m[fold == f])
        total -= np.log(np.where(y[fold == f] == 1, p, 1 - p)).sum()
    return total


def calibrate():
    for i, kind in enumerate(("none", "sigmoid", "isotonic")):
        m, y, w = two(kind, 1000, 11 + i)
        a, b = _sigmoid_calibration(m, y)
        print(kind)
        show([-a, -b])
        show(isotonic(m, y)(AT))
        show(isotonic(m, y, w)(AT))
        show([held(lambda *_: expit, m, y), held(sigmoid, m, y),
              held(isotonic, m, y)])
    m, y = many(600, 21, 0.4)
    show([temperature(m, y)])
    p = softmax(m, axis=1)
    curves = [isotonic(p[:, c], (y == c).astype(float)) for c in range(3)]
    for r in ([0, 0, 0], [2, -1, 0.5], [-3, 3, 1]):
        q = softmax(np.array(r, float))
        q = np.array([curves[c]([q[c]])[0] for c in range(3)])
        show(q / q.sum())


def table(n, seed):
    """Two numbers, one of them with gaps, and a category of three words."""
    s, x, y, w = Stream(seed), [], [], []
    for _ in range(n):
        a, b, c = s.next() % 100, s.next() % 50 + 1000, s.next() % 3
        t = 2 * a - 3 * (b - 1000) + 40 * (c == 1) + s.next() % 60
        x.append((a, np.nan if s.next() % 5 == 0 else b, c))
        y.append(t)
        w.append(1 + s.next() % 4)
    return np.array(x, float), np.array(y, float), np.array(w, float)


def inputs(x, w):
    """Standardised; what is missing is the mean, and is told."""
    out = []
    for j in range(2):
        there = ~np.isnan(x[:, j])
        mean = np.average(x[there, j], weights=w[there])
        dev = np.average((x[there, j] - mean) ** 2, weights=w[there]) ** 0.5
        out.append(np.where(there, (x[:, j] - mean) / dev, 0))
        if not there.all():
            out.append(~there)
    return np.array(out + [x[:, 2] == c for c in range(3)], float).T


def linear():
    x, y, w = table(300, 81)
    for each in (np.ones(300), w):
        z = inputs(x, each)
        show(Ridge(alpha=1, tol=1e-14).fit(z, y, each).predict(z[:6]))
        for cuts in ((40,), (0, 80)):
            c = np.digitize(y, cuts)
            fit = LogisticRegression(multi_class="multinomial",
                                     solver="newton-cg", tol=1e-12,
                                     max_iter=100000).fit(z, c, each)
            show(fit.predict_proba(z[:3]).ravel())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
