"""Draw 240 images of façades, stripes, shapes and text, or grow fast-x4 by residual blocks; see further_fast.yml."""

import dataclasses
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from lsm.arch.convolutional import ConvolutionalLSM
from lsm.weights import load_model

H, W = 336, 480
S = 3


def colour(r, spread=1.0):
    base = r.uniform(20, 235)
    return np.clip(base + r.normal(0, 25 * spread, 3), 0, 255)


def near(r, c, d):
    return tuple(float(v) for v in np.clip(np.array(c) + r.uniform(-d, d) + r.normal(0, d / 6, 3), 0, 255))


def smooth(r, h, w, scale, amp):
    n = r.normal(0, 1, (max(2, int(h / scale)), max(2, int(w / scale)), 1)).astype(np.float32)
    return amp * cv2.resize(n, (w, h), interpolation=cv2.INTER_CUBIC)[..., None] if n.ndim == 3 else n


def texture(r, h, w):
    t = np.zeros((h, w, 1), np.float32)
    for s, a in ((S * 1.5, r.uniform(0, 5)), (S * 6, r.uniform(0, 6)), (S * 40, r.uniform(0, 20))):
        t += smooth(r, h, w, s, a)
    return t


def facade(r, h, w):
    wall = colour(r)
    im = np.empty((h, w, 3), np.float32)
    im[:] = wall
    if r.random() < 0.5:  # courses of brick or panels
        ph = r.uniform(5, 20) * S
        pw = ph * r.uniform(1, 4)
        joint = near(r, wall, 50)
        t = max(1, int(r.uniform(0.5, 2) * S))
        y = 0.0
        row = 0
        while y < h:
            cv2.line(im, (0, int(y)), (w, int(y)), joint, t)
            x = (row % 2) * pw / 2
            while x < w:
                cv2.line(im, (int(x), int(y)), (int(x), int(y + ph)), joint, t)
                x += pw
            y += ph
            row += 1
    cw = r.uniform(14, 90) * S
    ch = cw * r.uniform(0.5, 2)
    fx = r.uniform(0.35, 0.92)
    fy = r.uniform(0.35, 0.92)
    glass = colour(r)
    frame = near(r, wall, 110)
    bars = (r.integers(0, 4), r.integers(0, 4))
    ft = max(1, int(cw * r.uniform(0.01, 0.08)))
    arch = r.random() < 0.2
    blinds = r.random() < 0.3
    bp = r.uniform(2, 8) * S
    for j in range(int(h / ch) + 1):
        for i in range(int(w / cw) + 1):
            x0, y0 = int(i * cw + cw * (1 - fx) / 2), int(j * ch + ch * (1 - fy) / 2)
            x1, y1 = int(x0 + cw * fx), int(y0 + ch * fy)
            g = near(r, glass, 35)
            cv2.rectangle(im, (x0, y0), (x1, y1), g, -1)
            if arch:
                cv2.ellipse(im, ((x0 + x1) // 2, y0), ((x1 - x0) // 2, (x1 - x0) // 2), 0, 180, 360, g, -1)
            if blinds:
                y = y0
                c = near(r, g, 90)
                while y < y1:
                    cv2.line(im, (x0, int(y)), (x1, int(y)), c, max(1, int(bp / 3)))
                    y += bp
            for k in range(1, bars[0] + 1):
                x = x0 + (x1 - x0) * k // (bars[0] + 1)
                cv2.line(im, (x, y0), (x, y1), frame, ft)
            for k in range(1, bars[1] + 1):
                y = y0 + (y1 - y0) * k // (bars[1] + 1)
                cv2.line(im, (x0, y), (x1, y), frame, ft)
            cv2.rectangle(im, (x0, y0), (x1, y1), frame, ft)
    return im


def stripes(r, h, w):
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    a = r.uniform(0, np.pi)
    u = xx * np.cos(a) + yy * np.sin(a)
    v = -xx * np.sin(a) + yy * np.cos(a)
    period = r.uniform(4, 36) * S
    duty = r.uniform(0.2, 0.8)
    bend = r.uniform(0, 2 * period) * np.sin(v / r.uniform(60, 300) / S)
    m = ((u + bend) / period % 1 < duty).astype(np.float32)
    if r.random() < 0.4:
        p2 = period * r.uniform(0.5, 3)
        m = (
            np.maximum(m, ((v / p2) % 1 < duty * r.uniform(0.2, 1)).astype(np.float32))
            if r.random() < 0.5
            else np.abs(m - ((v / p2) % 1 < 0.5))
        )
    return m[..., None] * colour(r).astype(np.float32) + (1 - m[..., None]) * colour(r).astype(np.float32)


def leaves(r, h, w):
    im = np.empty((h, w, 3), np.float32)
    im[:] = colour(r)
    for s in np.sort(np.clip(6 * r.pareto(1.6, 500) + 4, 4, 160))[::-1] * S:
        c = colour(r, 1.5)
        x, y = r.uniform(0, w), r.uniform(0, h)
        k = r.integers(0, 3)
        layer = tuple(map(float, c))
        if k == 0:
            cv2.ellipse(
                im,
                (int(x), int(y)),
                (int(s), int(s * r.uniform(0.3, 1))),
                r.uniform(0, 180),
                0,
                360,
                layer,
                -1,
                cv2.LINE_AA,
            )
        else:
            n = r.integers(3, 7)
            t = np.sort(r.uniform(0, 2 * np.pi, n))
            pts = np.stack([x + s * np.cos(t), y + s * np.sin(t) * r.uniform(0.3, 1)], 1).astype(np.int32)
            if k == 1:
                cv2.fillPoly(im, [pts], layer, cv2.LINE_AA)
            else:
                cv2.polylines(im, [pts], bool(r.integers(2)), layer, max(1, int(r.uniform(0.5, 5) * S)), cv2.LINE_AA)
    return im


def text(r, h, w):
    bg = colour(r)
    im = np.empty((h, w, 3), np.uint8)
    im[:] = bg
    fg = near(r, bg, 60) if r.random() < 0.2 else tuple(map(float, 255 - np.array(bg) * r.uniform(0.6, 1)))
    y = 0.0
    while y < h:
        sc = np.exp(r.uniform(np.log(0.35), np.log(2.2))) * S
        f = int(r.integers(0, 8))
        th = max(1, int(sc * r.uniform(0.8, 2.5)))
        s = "".join(chr(r.integers(33, 126)) if r.random() > 0.15 else " " for _ in range(int(w / (18 * sc)) + 2))
        y += 28 * sc
        cv2.putText(im, s, (int(r.uniform(0, 60)), int(y)), f, sc, fg, th, cv2.LINE_AA)
    return im


def plane(r, im):
    h, w = im.shape[:2]
    d = r.uniform(0, 0.35)
    src = np.float32([[0, 0], [w, 0], [w, h], [0, h]])
    dst = src + np.float32(r.uniform(-d, d, (4, 2))) * [w, h]
    a = r.normal(0, 0.15)
    R = cv2.getRotationMatrix2D((w / 2, h / 2), np.degrees(a), r.uniform(0.9, 1.5))
    dst = (np.c_[dst, np.ones(4)] @ R.T).astype(np.float32)
    M = cv2.getPerspectiveTransform(src, dst)
    mask = cv2.warpPerspective(np.ones((h, w), np.float32), M, (w, h), flags=cv2.INTER_LINEAR)
    return cv2.warpPerspective(im, M, (w, h), flags=cv2.INTER_LINEAR), mask[..., None]


def scene(seed):
    r = np.random.default_rng(seed)
    h, w = H * S, W * S
    kinds = [facade, facade, facade, stripes, leaves, text]
    im = leaves(r, h, w) if r.random() < 0.4 else np.empty((h, w, 3), np.float32) + colour(r).astype(np.float32)
    for _ in range(r.integers(1, 4)):
        layer = kinds[r.integers(len(kinds))](r, h, w) + texture(r, h, w)
        layer, mask = plane(r, layer)
        shade = 1 + smooth(r, h, w, S * 150, 0.15)
        im = im * (1 - mask) + layer * shade * mask
    sigma = S * r.uniform(0.25, 0.6)
    im = cv2.GaussianBlur(np.clip(im, 0, 255), (0, 0), sigma)
    im = cv2.resize(im, (W, H), interpolation=cv2.INTER_AREA)
    im += r.normal(0, r.uniform(0, 1.5), im.shape)
    return np.clip(np.round(im), 0, 255).astype(np.uint8)


def grow(output, blocks=10):
    net = load_model("fast-x4").network if hasattr(load_model("fast-x4"), "network") else load_model("fast-x4")
    new = ConvolutionalLSM(dataclasses.replace(net.config, blocks=blocks))
    old = net.state_dict()
    weights = {k: old.get(k, torch.zeros_like(v) if "conv2" in k else v) for k, v in new.state_dict().items()}
    torch.save({"params": weights, "params_ema": weights}, output)


if __name__ == "__main__":
    what, where = sys.argv[1:]
    if what == "grow":
        grow(where)
    else:
        Path(where).mkdir(parents=True, exist_ok=True)
        for i in range(240):
            cv2.imwrite(f"{where}/drawn{i:04d}.png", scene(i))
