#!/usr/bin/python3
"""trees.py [ROWS [ROUNDS [JOBS]]]: getrain trees beside XGBoost's own Python.

A table like the Higgs set (28 numbers, two classes), the same settings and threads,
one after the other, twice; the better of each.  What is compared:
 fit    quantised matrix and training, from numbers in memory (ours: run.json)
 whole  from CSV on standard input to the model's files, against XGBoost's fit
 memory the most that getrain held, against the table as 8-byte numbers
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import xgboost as xgb

rows, rounds, jobs = [int(a) for a in (sys.argv[1:] +
                                       ["1000000", "100", "2"][len(sys.argv) - 1:])]
rng = np.random.default_rng(1)
x = rng.normal(size=(rows, 28)).astype(np.float32).round(4)
x[:, ::4] = np.abs(x[:, ::4])
v = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3] * (x[:, 4] > 0.5) - 0.5
y = (v + rng.logistic(size=rows) > 0).astype(np.int32)
settings = {"objective": "binary:logistic", "tree_method": "hist", "max_depth": 6,
            "eta": 0.1, "max_bin": 256, "nthread": jobs}


def peer():
    began = time.monotonic()
    d = xgb.QuantileDMatrix(x, label=y, nthread=jobs, max_bin=256)
    b = xgb.train(settings, d, rounds)
    seconds = time.monotonic() - began
    p = b.predict(d)
    return seconds, float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))


def ours(folder):
    cmd = ["getrain", "trees", "-q", "-f", "-j", str(jobs), "-O", "target=y",
           "-O", "folds=0", "-O", "rounds=%d" % rounds, "-O", "eta=0.1",
           "-O", "bins=256", "-O", "subsample=1", "-O", "colsample=1",
           "-o", folder + "/m"]
    began = time.monotonic()
    with open(folder + "/t.csv", "rb") as f:
        p = subprocess.Popen(cmd, stdin=f)
        _, status, usage = os.wait4(p.pid, 0)
    whole = time.monotonic() - began
    if status != 0:
        sys.exit("getrain failed")
    with open(folder + "/m/run.json") as f:
        fit = json.load(f)["result"]["seconds"]
    return fit, whole, usage.ru_maxrss * 1024


folder = tempfile.mkdtemp()
try:
    with open(folder + "/t.csv", "w") as f:
        f.write(",".join("x%d" % i for i in range(28)) + ",y\n")
        for i in range(0, rows, 10000):
            f.write("\n".join(",".join("%.4f" % c for c in r) + ",%d" % t for r, t
                              in zip(x[i:i + 10000], y[i:i + 10000])) + "\n")
    a = [peer() for _ in range(2)]
    b = [ours(folder) for _ in range(2)]
    m = xgb.Booster(model_file=folder + "/m/model.json")
    m.feature_names = None
    p = m.inplace_predict(x)
    loss = float(-np.mean(np.where(y, np.log(p), np.log1p(-p))))
finally:
    shutil.rmtree(folder)
theirs = min(s for s, _ in a)
fit, whole, rss = (min(v) for v in zip(*b))
print("trees: %d x 28, %d rounds, %d threads: XGBoost %.2f s (loss %.5f); fit %.2f s, "
      "x%.3f; CSV to model %.2f s, x%.3f; loss %.5f; memory x%.2f of the table"
      % (rows, rounds, jobs, theirs, a[0][1], fit, fit / theirs, whole,
         whole / theirs, loss, rss / (rows * 29 * 8)))
