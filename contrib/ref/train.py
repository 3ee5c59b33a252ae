#!/usr/bin/env python3
"""A Llama trained with PyTorch, for comparison.  Shares no code with Getools.

    train.py curve DIR f32|bf16 [THREADS]
        The run that 'curve' of make bench has left in DIR: the same first weights,
        tokens, order and options.  Prints the losses.

    train.py speed small|gpt2 f32|bf16 THREADS ROUNDS
        Tokens a second in training, on random tokens.
"""
import json
import math
import struct
import sys
import time

import numpy
import torch
import torch.nn.functional as F

SHAPES = {
    "small": dict(vocab=4096, dim=288, layers=6, heads=6, kv=6, hd=48, ff=768,
                  theta=10000, norm_eps=1e-5, batch=16, len=256),
    "gpt2": dict(vocab=50304, dim=768, layers=12, heads=12, kv=12, hd=64,
                 ff=3072, theta=10000, norm_eps=1e-5, batch=4, len=256),
}
OPTIONS = dict(lr=1e-3, lr_end=1e-4, b1=0.9, b2=0.95, eps=1e-8, decay=0.1,
               clip=1, warmup=10, steps=1000)


def safetensors(path):
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        head = json.loads(f.read(n))
        data = numpy.frombuffer(f.read(), "<f4")
    return {name: torch.tensor(data[t["data_offsets"][0] // 4:
                                    t["data_offsets"][1] // 4]
                               .reshape(t["shape"]))
            for name, t in head.items() if name != "__metadata__"}


def random_weights(c):
    torch.manual_seed(1)
    w = {"model.embed_tokens.weight": (c["vocab"], c["dim"]),
         "model.norm.weight": (c["dim"],)}
    q, kv = c["heads"] * c["hd"], c["kv"] * c["hd"]
    for i in range(c["layers"]):
        p = f"model.layers.{i}."
        w[p + "input_layernorm.weight"] = (c["dim"],)
        w[p + "post_attention_layernorm.weight"] = (c["dim"],)
        w[p + "self_attn.q_proj.weight"] = (q, c["dim"])
        w[p + "self_attn.k_proj.weight"] = (kv, c["dim"])
        w[p + "self_attn.v_proj.weight"] = (kv, c["dim"])
        w[p + "self_attn.o_proj.weight"] = (c["dim"], q)
        w[p + "mlp.gate_proj.weight"] = (c["ff"], c["dim"])
        w[p + "mlp.up_proj.weight"] = (c["ff"], c["dim"])
        w[p + "mlp.down_proj.weight"] = (c["dim"], c["ff"])
    return {k: torch.ones(s) if len(s) == 1 else torch.randn(s) * 0.02
            for k, s in w.items()}


def norm(x, w, eps):
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


def rope(x, cos, sin):
    a, b = x.float().chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Llama:
    def __init__(self, c, weights):
        self.c = c
        self.w = {k: v.clone().requires_grad_() for k, v in weights.items()}
        half = c["hd"] // 2
        turn = c["theta"] ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.arange(c["len"], dtype=torch.float64)[:, None] * turn
        self.cos, self.sin = angle.cos().float(), angle.sin().float()

    def attend(self, x, p, hidden):
        c, (b, t, _) = self.c, x.shape

        def heads(name, n):
            y = F.linear(x, self.w[p + name + "_proj.weight"])
            return y.view(b, t, n, c["hd"]).transpose(1, 2)

        q = rope(heads("q", c["heads"]), self.cos, self.sin)
        k = rope(heads("k", c["kv"]), self.cos, self.sin)
        v = heads("v", c["kv"])
        if c["kv"] < c["heads"]:
            k = k.repeat_interleave(c["heads"] // c["kv"], 1)
            v = v.repeat_interleave(c["heads"] // c["kv"], 1)
        s = (q @ k.transpose(2, 3)).float() / math.sqrt(c["hd"])
        s = s.masked_fill(hidden, -math.inf).softmax(-1)
        y = (s.to(v.dtype) @ v).transpose(1, 2).reshape(b, t, -1)
        return F.linear(y, self.w[p + "o_proj.weight"])

    def loss(self, token, target, begin):
        c, w = self.c, self.w
        pos = torch.arange(token.shape[1])
        hidden = ((pos[None, None, :] > pos[None, :, None]) |
                  (pos[None, None, :] < begin[:, :, None]))[:, None]
        x = w["model.embed_tokens.weight"][token]
        for i in range(c["layers"]):
            p = f"model.layers.{i}."
            y = norm(x, w[p + "input_layernorm.weight"], c["norm_eps"])
            x = x + self.attend(y, p + "self_attn.", hidden)
            y = norm(x, w[p + "post_attention_layernorm.weight"],
                     c["norm_eps"])
            y = F.silu(F.linear(y, w[p + "mlp.gate_proj.weight"])) * \
                F.linear(y, w[p + "mlp.up_proj.weight"])
            x = x + F.linear(y, w[p + "mlp.down_proj.weight"])
        x = norm(x, w["model.norm.weight"], c["norm_eps"])
        y = F.linear(x, w["model.embed_tokens.weight"])
        return F.cross_entropy(y.view(-1, c["vocab"]).float(),
                               target.reshape(-1))


class Training:
    def __init__(self, c, model, prec):
        self.c, self.model, self.n = c, model, 0
        self.bf16 = prec == "bf16"
        w = list(model.w.values())
        self.all = w
        self.adamw = torch.optim.AdamW(
            [{"params": [x for x in w if x.dim() > 1],
              "weight_decay": c["decay"]},
             {"params": [x for x in w if x.dim() == 1], "weight_decay": 0}],
            lr=c["lr"], betas=(c["b1"], c["b2"]), eps=c["eps"])

    def rate(self):
        c, n = self.c, self.n
        if n < c["warmup"]:
            return c["lr"] * (n + 1) / c["warmup"]
        x = (n - c["warmup"]) / (c["steps"] - c["warmup"])
        x = (1 - math.cos(math.pi * x)) / 2
        return c["lr"] + (c["lr_end"] - c["lr"]) * x

    def loss(self, *batch):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            return self.model.loss(*batch)

    def step(self, *batch):
        for g in self.adamw.param_groups:
            g["lr"] = self.rate()
        self.adamw.zero_grad(set_to_none=True)
        loss = self.loss(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.all, self.c["clip"])
        self.adamw.step()
        self.n += 1
        return loss.item()


def windows(c, tokens, which):
    """Token, target and where the document of a token begins: at an end token."""
    v = torch.stack([tokens[w * c["len"]:(w + 1) * c["len"] + 1]
                     for w in which])
    pos = torch.arange(c["len"]).expand(len(which), -1)
    begin = torch.where(v[:, :-1] == c["end"], pos, 0).cummax(1).values
    return v[:, :-1], v[:, 1:], begin


def curve(path, prec, threads="1"):
    torch.set_num_threads(int(threads))
    c = json.load(open(path + "/config.json"))
    train, val = (torch.tensor(numpy.fromfile(f"{path}/{n}.i32", "<i4")).long()
                  for n in ("train", "val"))
    order = numpy.fromfile(path + "/order.u32", "<u4").tolist()
    t = Training(c, Llama(c, safetensors(path + "/first.safetensors")), prec)
    for n in range(1, c["steps"] + 1):
        which = order[(n - 1) * c["batch"]:n * c["batch"]]
        loss = t.step(*windows(c, train, which))
        if n % 50 == 0 or n == 1:
            print(f"pytorch {prec} step {n} loss {loss:.5f}", flush=True)
    count = (len(val) - 1) // c["len"]
    total = 0
    with torch.no_grad():
        for i in range(0, count, c["batch"]):
            which = range(i, min(i + c["batch"], count))
            total += t.loss(*windows(c, val, which)).item() * len(which)
    print(f"pytorch {prec} validation {total / count:.5f}")


def speed(name, prec, threads, rounds):
    torch.set_num_threads(int(threads))
    c = dict(SHAPES[name], **OPTIONS)
    t = Training(c, Llama(c, random_weights(c)), prec)
    v = torch.randint(1, c["vocab"], (c["batch"], c["len"] + 1))
    batch = (v[:, :-1], v[:, 1:], torch.zeros(v[:, 1:].shape,
                                              dtype=torch.long))
    t.step(*batch)
    wall, cpu = [], []
    for _ in range(int(rounds)):
        a, b = time.monotonic(), time.process_time()
        t.step(*batch)
        wall.append(c["batch"] * c["len"] / (time.monotonic() - a))
        cpu.append(c["batch"] * c["len"] / (time.process_time() - b))
    print(f"pytorch {name} {prec} {threads} threads: "
          f"{numpy.median(wall):.0f} tokens/s, "
          f"{numpy.median(cpu):.0f} a processor second")


if __name__ == "__main__":
    {"curve": curve, "speed": speed}[sys.argv[1]](*sys.argv[2:])
