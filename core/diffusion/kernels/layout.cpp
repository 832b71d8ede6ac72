// Images side by side, grown, folded and unfolded: numbers are moved, and none is changed.

#include <cstdint>
#include <cstring>

namespace {

// Between images [N, C, H, W] as they are written down and [N, H / f, W / f, C f f], in which the f
// x f pixels of a square are channels of one.
template <bool folds, class T>
void fold(const T *__restrict from, T *__restrict to, long samples, long channels, long height,
          long width, long f) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < samples; n++)
        for (long c = 0; c < channels; c++)
            for (long y = 0; y < height; y++)
                for (long x = 0; x < width / f; x++)
                    for (long i = 0; i < f; i++) {
                        long plain = ((n * channels + c) * height + y) * width + x * f + i;
                        long pixel = (n * (height / f) + y / f) * (width / f) + x;
                        long folded = ((pixel * channels + c) * f + y % f) * f + i;
                        if (folds) to[folded] = from[plain];
                        else to[plain] = from[folded];
                    }
}

}  // namespace

// Images [N, H, W] of `bytes` a pixel, each pixel `factor` x `factor` times, and then, in each
// pixel, `beside` [N, H factor, W factor] of `bytes_beside`.
extern "C" void join(const char *x, const char *beside, char *joined, long samples, long height,
                     long width, long factor, long bytes, long bytes_beside) {
    const long wide = width * factor, high = height * factor;
#pragma omp parallel for schedule(static)
    for (long row = 0; row < samples * high; row++) {
        const char *from = x + (row / high * height + row % high / factor) * width * bytes;
        const char *other = beside + row * wide * bytes_beside;
        char *to = joined + row * wide * (bytes + bytes_beside);
        for (long i = 0; i < wide; i++, to += bytes + bytes_beside) {
            std::memcpy(to, from + i / factor * bytes, bytes);
            std::memcpy(to + bytes, other + i * bytes_beside, bytes_beside);
        }
    }
}

#define FOLD(name, folds, T)                                                                      \
    extern "C" void name(const T *from, T *to, long samples, long channels, long height,          \
                         long width, long factor) {                                               \
        fold<folds>(from, to, samples, channels, height, width, factor);                          \
    }

FOLD(fold_2, true, uint16_t)
FOLD(fold_4, true, uint32_t)
FOLD(unfold_2, false, uint16_t)
FOLD(unfold_4, false, uint32_t)
