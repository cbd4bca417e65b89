// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Key set-up: the AES-256 schedules, the hash key, L and the chaos key. */
#include "cipher.h"
#include "sbox.h"

/* SubBytes on the four bytes of a word, by the circuit. */
static u32 sub_word(u32 w)
{
	u64 q[8];
	u32 out = 0;
	int i, k;

	for (k = 0; k < 8; k++) {
		q[k] = 0;
		for (i = 0; i < 4; i++)
			q[k] |= (u64)(w >> (8 * i + k) & 1) << i;
	}
	sbox_planes(q);
	for (k = 0; k < 8; k++)
		for (i = 0; i < 4; i++)
			out |= (u32)(q[k] >> i & 1) << (8 * i + k);
	chaosimg_wipe(q, sizeof(q));
	return out ^ 0x63636363;
}

void chaosimg_aes256_expand(u8 schedule[CHAOSIMG_ROUNDS + 1][CHAOSIMG_BLOCK],
			    const u8 k[32])
{
	u8 *rk = schedule[0];
	u32 t, rcon = 1;
	int i;

	for (i = 0; i < 8; i++)
		store_le32(rk + 4 * i, load_le32(k + 4 * i));
	for (; i < 4 * (CHAOSIMG_ROUNDS + 1); i++) {
		t = load_le32(rk + 4 * (i - 1));
		if (i % 8 == 0) {
			t = sub_word(t >> 8 | t << 24) ^ rcon;
			rcon <<= 1;
		} else if (i % 8 == 4) {
			t = sub_word(t);
		}
		store_le32(rk + 4 * i, t ^ load_le32(rk + 4 * (i - 8)));
	}
}

void chaosimg_cipher_set_key(struct chaosimg_cipher_key *key,
			     const struct chaosimg_cipher_impl *impl,
			     const u8 k[32])
{
	u8 b[4 * CHAOSIMG_BLOCK] = { 0 };
	int i;

	key->impl = impl;
	impl->set_rounds(key, CHAOSIMG_MAIN, k);
	for (i = 0; i < 4; i++)
		b[CHAOSIMG_BLOCK * i] = (u8)i;
	impl->aes(key, CHAOSIMG_MAIN, b, b, 4);
	__builtin_memcpy(key->h, b, CHAOSIMG_BLOCK);
	__builtin_memcpy(key->l, b + CHAOSIMG_BLOCK, CHAOSIMG_BLOCK);
	impl->set_hash(key);
	impl->set_rounds(key, CHAOSIMG_CHAOS, b + 2 * CHAOSIMG_BLOCK);
	chaosimg_wipe(b, sizeof(b));
}
