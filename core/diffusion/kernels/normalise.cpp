// Group normalisation, scale and shift, and the activation: one pass over memory for all three.
//
// Every operation is one that IEEE 754 defines to the last bit, in an order that is written out
// here, with fused multiply-adds only where they are asked for (-ffp-contract=off). So the same
// numbers come out of any compiler, of vectors of any width, and of any number of threads. Inner
// loops run over channels, which lie side by side in memory, so that compilers make vectors of them.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace {

struct bfloat16 {
    uint16_t bits;
};

template <class To, class From>
inline To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

inline float widened(float x) { return x; }
inline float widened(bfloat16 x) { return same_bits<float>(uint32_t(x.bits) << 16); }

// 1 / d for d >= 1: a line through the bits, 5 % off at most, then 1 + e + e^2 for 1 / (1 - e), which
// leaves the cube of the error. A division takes as long as all else that is done for a number.
template <int steps>
inline float reciprocal(float d) {
    if constexpr (steps == 0) return same_bits<float>(0x7ef31000u - same_bits<uint32_t>(d));
    else {
        float r = reciprocal<steps - 1>(d);
        float e = __builtin_fmaf(-d, r, 1.0f);
        return __builtin_fmaf(r, __builtin_fmaf(e, e, e), r);
    }
}

// x, or `least` < 0 where that is greater: as unsigned whole numbers, which compilers compare in one
// instruction, the bits of negative numbers are the greater the less these are.
inline float at_least(float least, float x) {
    uint32_t bits = same_bits<uint32_t>(x), limit = same_bits<uint32_t>(least);
    return same_bits<float>(bits < limit ? bits : limit);
}

// x / (1 + exp(-x)): within 0.1 % where bfloat16 keeps it, whose own steps are 0.4 to 0.8 %;
// where float32 does, within 0.001 %.
template <class T>
inline float silu(float x) {
    x = at_least(-69.0f, x);                        // where it is -1e-28
    float t = at_least(-100.0f, x * -1.44269504f);  // exp(-x) = 2^t
    // Adding 1.5 * 2^23 leaves the nearest whole number; 127 is the bias of exponents.
    const float rounder = 12582912.0f + 127.0f;
    float whole = t + rounder;
    float f = t - (whole - rounder);
    const bool fine = std::is_same_v<T, float>;
    float power = 0.0555041f;
    if (fine) {
        power = __builtin_fmaf(f, 0.00133336f, 0.00961813f);
        power = __builtin_fmaf(f, power, 0.0555041f);
    }
    power = __builtin_fmaf(f, power, 0.2402265f);
    power = __builtin_fmaf(f, power, 0.6931472f);
    power = __builtin_fmaf(f, power, 1.0f);
    float scale = same_bits<float>(same_bits<uint32_t>(whole) << 23);
    return x * reciprocal<fine ? 2 : 1>(__builtin_fmaf(power, scale, 1.0f));
}

struct Nothing {
    template <class T>
    static float of(float x) { return x; }
};
struct Relu {
    template <class T>
    static float of(float x) { return x > 0.0f ? x : 0.0f; }
};
struct Silu {
    template <class T>
    static float of(float x) { return silu<T>(x); }
};

// Channels are taken two at a time: bfloat16 ones that are neighbours, which together come and go in
// half as many instructions, float32 ones that lie `half` apart.
template <int half>
struct Two {
    static int first(bfloat16, int i) { return 2 * i; }
    static int second(bfloat16, int i) { return 2 * i + 1; }
    static int first(float, int i) { return i; }
    static int second(float, int i) { return half + i; }

    static void get(const float *x, int i, float &a, float &b) { a = x[i], b = x[half + i]; }
    static void get(const bfloat16 *x, int i, float &a, float &b) {
        uint32_t bits;
        std::memcpy(&bits, x + 2 * i, sizeof(bits));
        a = same_bits<float>(bits << 16), b = same_bits<float>(bits & 0xffff0000);
    }
    static void put(float *y, int i, float a, float b) { y[i] = a, y[half + i] = b; }
    static void put(bfloat16 *y, int i, float a, float b) {  // to the nearest, ties away from zero
        uint32_t low = same_bits<uint32_t>(a) + 0x8000, high = same_bits<uint32_t>(b) + 0x8000;
        uint32_t bits = (high & 0xffff0000) | low >> 16;
        std::memcpy(y + 2 * i, &bits, sizeof(bits));
    }
};

// Each of 2 channels or more in a block of `2 * half`, the last of which may begin within the one
// before.
template <class Do>
void in_blocks(long channels, Do act) {
    auto all = [&](auto half) {
        const long width = 2 * half;
        for (long c = 0; c < channels; c += width) act(half, std::min(c, channels - width));
    };
    if (channels >= 32) all(std::integral_constant<int, 16>());
    else if (channels >= 8) all(std::integral_constant<int, 4>());
    else all(std::integral_constant<int, 1>());
}

// The sum and the sum of squares, over all pixels, of each of `2 * half` channels.
template <int half, class T>
void sums(const T *__restrict x, long pixels, long channels, float *__restrict sum,
          float *__restrict square) {
    using In = Two<half>;
    float sum1[half] = {}, sum2[half] = {}, square1[half] = {}, square2[half] = {};
    for (long p = 0; p < pixels; p++)
        for (int i = 0; i < half; i++) {
            float a, b;
            In::get(x + p * channels, i, a, b);
            sum1[i] += a;
            sum2[i] += b;
            square1[i] = __builtin_fmaf(a, a, square1[i]);
            square2[i] = __builtin_fmaf(b, b, square2[i]);
        }
    for (int i = 0; i < half; i++) {
        int first = In::first(T(), i), second = In::second(T(), i);
        sum[first] = sum1[i], square[first] = square1[i];
        sum[second] = sum2[i], square[second] = square2[i];
    }
}

// All pixels of `2 * half` channels: times the scale, plus the shift, activated.
template <int half, class Activation, class T>
void apply(const T *__restrict x, T *__restrict y, long pixels, long channels,
           const float *__restrict scale, const float *__restrict shift) {
    using In = Two<half>;
    float scale1[half], scale2[half], shift1[half], shift2[half];
    for (int i = 0; i < half; i++) {
        int first = In::first(T(), i), second = In::second(T(), i);
        scale1[i] = scale[first], shift1[i] = shift[first];
        scale2[i] = scale[second], shift2[i] = shift[second];
    }
    for (long p = 0; p < pixels; p++)
        for (int i = 0; i < half; i++) {
            float a, b;
            In::get(x + p * channels, i, a, b);
            a = Activation::template of<T>(__builtin_fmaf(a, scale1[i], shift1[i]));
            b = Activation::template of<T>(__builtin_fmaf(b, scale2[i], shift2[i]));
            In::put(y + p * channels, i, a, b);
        }
}

struct Shape {
    long samples, pixels, channels, groups;
};

template <class T>
struct Learnt {
    const T *weight, *bias;  // of each channel
    const T *film;           // of each sample a row: scales, then shifts; or none
    long film_stride;
    float epsilon;
};

template <class Activation, class T>
void normalise(const T *__restrict x, T *__restrict y, const Shape &shape,
               const Learnt<T> &learnt) {
    const long channels = shape.channels, pixels = shape.pixels, size = channels / shape.groups;
#pragma omp parallel for schedule(static)
    for (long n = 0; n < shape.samples; n++) {
        const T *__restrict in = x + n * pixels * channels;
        T *__restrict out = y + n * pixels * channels;
        // Sums first, then what to multiply and add.
        std::vector<float> both(2 * channels);
        float *__restrict scale = both.data(), *__restrict shift = scale + channels;
        in_blocks(channels, [&](auto half, long c) {
            sums<half>(in + c, pixels, channels, scale + c, shift + c);
        });
        for (long first = 0; first < channels; first += size) {
            float sum = 0, square = 0;
            for (long c = first; c < first + size; c++) sum += scale[c], square += shift[c];
            float mean = sum / float(size * pixels);
            float variance = square / float(size * pixels) - mean * mean;
            float rate = 1.0f / std::sqrt((variance > 0 ? variance : 0) + learnt.epsilon);
            for (long c = first; c < first + size; c++) {
                scale[c] = widened(learnt.weight[c]) * rate;
                shift[c] = widened(learnt.bias[c]) - scale[c] * mean;
            }
        }
        if (learnt.film) {
            const T *__restrict film = learnt.film + n * learnt.film_stride;
            for (long c = 0; c < channels; c++) {
                float more = 1.0f + widened(film[c]);
                scale[c] *= more;
                shift[c] = __builtin_fmaf(shift[c], more, widened(film[channels + c]));
            }
        }
        in_blocks(channels, [&](auto half, long c) {
            apply<half, Activation>(in + c, out + c, pixels, channels, scale + c, shift + c);
        });
    }
}

template <class T>
void chosen(int activation, const T *x, T *y, const Shape &shape, const Learnt<T> &learnt) {
    if (activation == 0) normalise<Nothing>(x, y, shape, learnt);
    if (activation == 1) normalise<Relu>(x, y, shape, learnt);
    if (activation == 2) normalise<Silu>(x, y, shape, learnt);
}

}  // namespace

#define NORMALISE(name, T)                                                                        \
    extern "C" void name(const T *x, T *y, const T *weight, const T *bias, const T *film,         \
                         long film_stride, long samples, long pixels, long channels, long groups, \
                         float epsilon, int activation) {                                         \
        chosen<T>(activation, x, y, {samples, pixels, channels, groups},                          \
                  {weight, bias, film, film_stride, epsilon});                                    \
    }

NORMALISE(normalise_float32, float)
NORMALISE(normalise_bfloat16, bfloat16)
