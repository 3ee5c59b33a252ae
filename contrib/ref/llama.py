#!/usr/bin/env python3
"""llama.py DIR [-i] [-l] <text: a model directory of the Llama architecture, read by
other eyes: numpy and Python's library, in f64, nothing of lib/.

Prints the tokens of the text, the nats of each but the first, given those before it,
their mean, and bits per byte.  -i: the input is numbers of tokens.  -l: the logits
behind the last token instead, a line each.  At most as many tokens as the model has
positions are looked at.
"""
import json
import re
import struct
import sys
import unicodedata

import numpy as np


def weights(path):
    """All tensors of the directory as arrays of f64."""
    try:
        with open(path + "/model.safetensors.index.json") as f:
            files = sorted(set(json.load(f)["weight_map"].values()))
    except FileNotFoundError:
        files = ["model.safetensors"]
    out = {}
    for name in files:
        with open(path + "/" + name, "rb") as f:
            n, = struct.unpack("<Q", f.read(8))
            head = json.loads(f.read(n))
            data = f.read()
        for key, t in head.items():
            if key == "__metadata__":
                continue
            raw = data[t["data_offsets"][0]:t["data_offsets"][1]]
            if t["dtype"] == "BF16":
                a = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
            else:
                a = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[t["dtype"]])
            out[key] = a.astype(np.float64).reshape(t["shape"])
    return out


def ranges(major):
    """What stands in a regular expression's brackets for a class of characters."""
    out, first = [], None
    for c in range(0x110000 + 1):
        inside = c < 0x110000 and unicodedata.category(chr(c))[0] == major
        if inside and first is None:
            first = c
        elif not inside and first is not None:
            out.append("\\U%08x-\\U%08x" % (first, c - 1))
            first = None
    return "".join(out)


SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
GPT2 = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"
        r"|\s+(?!\S)|\s+")


def compiled(s):
    """Python's re of a pattern with \\p{L}, \\p{N} and Unicode's \\s."""
    known = {"\\p{L}": ranges("L"), "\\p{N}": ranges("N"), "\\s": SPACE}
    out, bracket, i = "", False, 0
    while i < len(s):
        part = next((k for k in known if s.startswith(k, i)), None)
        if part is not None:
            out += known[part] if bracket else "[" + known[part] + "]"
        elif s.startswith("\\S", i):
            part = "\\S"
            out += "[^" + SPACE + "]"
        else:
            part = s[i:i + 2] if s[i] == "\\" else s[i]
            out += part
            bracket = part == "[" or (bracket and part != "]")
        i += len(part)
    return re.compile(out)


def encode(path, text):
    with open(path + "/tokenizer.json", encoding="utf-8") as f:
        t = json.load(f)
    model, pre = t["model"], t["pre_tokenizer"]
    steps = pre.get("pretokenizers", [pre])
    shown = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    byte = {b: chr(b) for b in shown}
    for b in range(256):
        if b not in byte:
            byte[b] = chr(256 + len(byte) - len(shown))
    rank = {tuple(m.split(" ") if isinstance(m, str) else m): i
            for i, m in enumerate(model["merges"])}
    pieces = [text]
    for step in steps:
        if step["type"] == "Digits":
            r = compiled(r"\p{N}|[^\p{N}]+")
        elif step["type"] == "Split":
            r = compiled(step["pattern"]["Regex"])
        elif step.get("use_regex", True):
            r = compiled(GPT2)
        else:
            continue
        pieces = [m.group(0) for p in pieces for m in r.finditer(p)]
    out = []
    for p in pieces:
        w = [byte[b] for b in p.encode()]
        if model.get("ignore_merges") and "".join(w) in model["vocab"]:
            w = ["".join(w)]
        while len(w) > 1:
            best = min(zip(w, w[1:]), key=lambda x: rank.get(x, 1 << 40))
            if best not in rank:
                break
            i = 0
            while i + 1 < len(w):
                if (w[i], w[i + 1]) == best:
                    w[i:i + 2] = [w[i] + w[i + 1]]
                i += 1
        out += [model["vocab"][x] for x in w]
    return out


def angles(c, hd):
    p = c.get("rope_parameters") or {}
    a = p.get("rope_theta", c.get("rope_theta", 1e4)) ** (
        -np.arange(0, hd, 2) / hd)
    s = c.get("rope_scaling") or p
    if s.get("rope_type", s.get("type", "default")) == "default":
        return a
    ctx, low, high = (s["original_max_position_embeddings"],
                      s["low_freq_factor"], s["high_freq_factor"])
    wave = 2 * np.pi / a
    mix = (ctx / wave - low) / (high - low)
    mid = (1 - mix) * a / s["factor"] + mix * a
    return np.where(wave > ctx / low, a / s["factor"],
                    np.where(wave < ctx / high, a, mid))


def logits(path, token):
    with open(path + "/config.json") as f:
        c = json.load(f)
    w = weights(path)
    heads = c["num_attention_heads"]
    kv = c.get("num_key_value_heads") or heads
    hd = c.get("head_dim") or c["hidden_size"] // heads
    n = len(token)
    a = np.arange(n)[:, None] * angles(c, hd)
    cos, sin = np.cos(a)[:, None], np.sin(a)[:, None]

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) +
                           c.get("rms_norm_eps", 1e-6)) * w[name + ".weight"]

    def turn(x):
        u, v = x[..., :hd // 2], x[..., hd // 2:]
        return np.concatenate([u * cos - v * sin, v * cos + u * sin], -1)

    hidden = np.triu(np.full((n, n), -np.inf), 1)
    x = w["model.embed_tokens.weight"][token]
    for i in range(c["num_hidden_layers"]):
        at = "model.layers.%d." % i

        def linear(y, name):
            return y @ w[at + name + "_proj.weight"].T

        y = norm(x, at + "input_layernorm")
        q = turn(linear(y, "self_attn.q").reshape(n, heads, hd))
        k = turn(linear(y, "self_attn.k").reshape(n, kv, hd))
        v = linear(y, "self_attn.v").reshape(n, kv, hd)
        k, v = (np.repeat(z, heads // kv, axis=1) for z in (k, v))
        s = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(hd) + hidden
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        y = np.einsum("hij,jhd->ihd", s, v).reshape(n, heads * hd)
        x = x + linear(y, "self_attn.o")
        y = norm(x, at + "post_attention_layernorm")
        g = linear(y, "mlp.gate")
        x = x + linear(g / (1 + np.exp(-g)) * linear(y, "mlp.up"), "mlp.down")
    head = "model.embed_tokens" if c.get("tie_word_embeddings") else "lm_head"
    return norm(x, "model.norm") @ w[head + ".weight"].T, c


def main():
    args = sys.argv[1:]
    flags = [x for x in args if x.startswith("-")]
    dirs = [x for x in args if not x.startswith("-")]
    if len(dirs) != 1 or set(flags) - {"-i", "-l"}:
        sys.exit(__doc__)
    data = sys.stdin.buffer.read()
    if "-i" in flags:
        token = [int(x) for x in data.split()]
    else:
        token = encode(dirs[0], data.decode())
    with open(dirs[0] + "/config.json") as f:
        most = json.load(f).get("max_position_embeddings", 2048)
    cut = len(token) > most
    token = token[:most]
    x, _ = logits(dirs[0], token)
    if "-l" in flags:
        for v in x[-1]:
            print("%.9g" % v)
        return
    x = x - x.max(-1, keepdims=True)
    nats = np.log(np.exp(x).sum(-1))[:-1] - x[np.arange(len(token) - 1),
                                              token[1:]]
    print("tokens", *token)
    print("nats", *("%.6f" % v for v in nats))
    print("mean %.6f" % nats.mean())
    if "-i" not in flags and not cut:
        print("bits per byte %.6f" % (nats.sum() / np.log(2) / len(data)))


main()
