// Philox-4x64 with ten rounds (Salmon et al. 2011), for many keys at once: the bits that numpy's
// Philox draws from the same key and counter, which it counts up before it draws.

#include <cstdint>

// For each of `samples` keys of two words a row of `count` numbers from the counter (0, 0, block, 0).
extern "C" void philox(const uint64_t *keys, uint64_t block, long samples, long count,
                       uint64_t *numbers) {
#pragma omp parallel for schedule(static)
    for (long n = 0; n < samples; n++)
        for (long at = 0; at < count; at += 4) {
            uint64_t c[4] = {uint64_t(at / 4 + 1), 0, block, 0};
            uint64_t key0 = keys[2 * n], key1 = keys[2 * n + 1];
            for (int round = 0; round < 10; round++) {
                unsigned __int128 a = (unsigned __int128)0xd2e7470ee14c6c93u * c[0];
                unsigned __int128 b = (unsigned __int128)0xca5a826395121157u * c[2];
                c[0] = uint64_t(b >> 64) ^ c[1] ^ key0;
                c[2] = uint64_t(a >> 64) ^ c[3] ^ key1;
                c[1] = uint64_t(b);
                c[3] = uint64_t(a);
                key0 += 0x9e3779b97f4a7c15u;
                key1 += 0xbb67ae8584caa73bu;
            }
            for (long i = 0; i < 4 && at + i < count; i++) numbers[n * count + at + i] = c[i];
        }
}
