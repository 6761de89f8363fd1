// Tiles along an axis and the weights that blend them, as in lsm/inference/tiling.py.

/** Cut an axis of `size` pixels into tiles; they start on multiples of `window`, and the last may be shorter. */
export function spans(size, tile, overlap, window) {
  if (tile >= size) return [{ start: 0, stop: size, keepStart: 0, keepStop: size, fadeIn: 0, fadeOut: 0 }];
  const step = Math.floor((tile - overlap) / window) * window;
  const shared = tile - step;
  const fade = Math.floor(shared / 2);
  const cut = Math.floor((shared - fade) / 2);
  const count = Math.ceil((size - shared) / step);
  return Array.from({ length: count }, (_, index) => {
    const start = index * step;
    const isLast = index === count - 1;
    return {
      start,
      stop: Math.min(start + tile, size),
      keepStart: index ? start + cut : 0,
      keepStop: isLast ? size : start + step + cut + fade,
      fadeIn: index ? fade : 0,
      fadeOut: isLast ? 0 : fade,
    };
  });
}

/** The weight of each upscaled pixel that a tile keeps: a raised cosine over the blended ends, else 1. */
export function weights(span, scale) {
  const length = (span.keepStop - span.keepStart) * scale;
  const result = new Float32Array(length).fill(1);
  const ramp = (index, fade) => Math.sin(((index + 0.5) / fade) * (Math.PI / 2)) ** 2;
  const [fadeIn, fadeOut] = [span.fadeIn * scale, span.fadeOut * scale];
  for (let index = 0; index < fadeIn; index++) result[index] = ramp(index, fadeIn);
  for (let index = 0; index < fadeOut; index++) result[length - fadeOut + index] = 1 - ramp(index, fadeOut);
  return result;
}
