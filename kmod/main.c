// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * chaosimg for the kernel's crypto API: one skcipher for each implementation
 * that this CPU can run. Documentation/kernel.rst says how to use them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <crypto/algapi.h>
#include <crypto/internal/skcipher.h>
#include <linux/crypto.h>
#include <linux/fips.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "kmod.h"
#include "simd.h"

enum {
	PRIORITY_GENERIC = 100,
	PRIORITY_FAST = 300,	/* the slowest of the fast ones */
	PRIORITY_STEP = 100,
	STATE_ALIGN = __alignof__(struct chaosimg_state),
};

struct driver {
	struct skcipher_alg alg;
	const struct chaosimg_cipher_impl *impl;
};

static struct driver drivers[CHAOSIMG_IMPLS_MAX];
static unsigned int driver_count;

static char *spoil;
module_param(spoil, charp, 0);
MODULE_PARM_DESC(spoil, "Implementation whose self-test is made to fail");

/* --- the skcipher --------------------------------------------------------- */

static struct chaosimg_ctx *aligned_ctx(struct crypto_skcipher *tfm)
{
	return PTR_ALIGN(crypto_skcipher_ctx(tfm), CHAOSIMG_CTX_ALIGN);
}

static int init_tfm(struct crypto_skcipher *tfm)
{
	struct driver *d = container_of(crypto_skcipher_alg(tfm),
					struct driver, alg);

	aligned_ctx(tfm)->impl = d->impl;
	/* The whole image: any driver may have to fall back to generic. */
	crypto_skcipher_set_reqsize(tfm, sizeof(struct chaosimg_state) +
				    STATE_ALIGN - 1);
	return 0;
}

static int set_key(struct crypto_skcipher *tfm, const u8 *key,
		   unsigned int len)
{
	if (len != CHAOSIMG_KEY_SIZE)
		return -EINVAL;
	chaosimg_set_key(aligned_ctx(tfm), key);
	return 0;
}

static int crypt(struct skcipher_request *req, bool decrypt)
{
	const struct chaosimg_message message = {
		.src = req->src,
		.dst = req->dst,
		.len = req->cryptlen,
		.iv = req->iv,
		.decrypt = decrypt,
		.may_sleep = req->base.flags & CRYPTO_TFM_REQ_MAY_SLEEP,
	};
	struct chaosimg_state *state = PTR_ALIGN(skcipher_request_ctx(req),
						 STATE_ALIGN);

	return chaosimg_crypt(aligned_ctx(crypto_skcipher_reqtfm(req)), state,
			      &message);
}

static int encrypt(struct skcipher_request *req)
{
	return crypt(req, false);
}

static int decrypt(struct skcipher_request *req)
{
	return crypt(req, true);
}

/* --- registration --------------------------------------------------------- */

static unsigned int ctx_size(const struct chaosimg_cipher_impl *impl)
{
	const unsigned int size = impl->simd ? sizeof(struct chaosimg_ctx) :
		offsetof(struct chaosimg_ctx, fast);

	return size + CHAOSIMG_CTX_ALIGN - 1;
}

/* By the place among all implementations, so that it is the same everywhere. */
static int priority(const struct chaosimg_cipher_impl *impl)
{
	const struct chaosimg_cipher_impl *all[CHAOSIMG_IMPLS_MAX];
	const size_t n = chaosimg_cipher_impls(~0U, all, ARRAY_SIZE(all));
	size_t i = 0;

	while (strcmp(all[i]->name, impl->name))
		i++;
	if (i == n - 1)
		return PRIORITY_GENERIC;
	return PRIORITY_FAST + PRIORITY_STEP * (int)(n - 2 - i);
}

static int register_driver(const struct chaosimg_cipher_impl *impl)
{
	struct driver *d = &drivers[driver_count];
	struct skcipher_alg *alg = &d->alg;
	int err;

	d->impl = impl;
	strscpy(alg->base.cra_name, "chaosimg", CRYPTO_MAX_ALG_NAME);
	snprintf(alg->base.cra_driver_name, CRYPTO_MAX_ALG_NAME, "chaosimg-%s",
		 impl->name);
	alg->base.cra_priority = priority(impl);
	alg->base.cra_blocksize = CHAOSIMG_BLOCK;
	alg->base.cra_ctxsize = ctx_size(impl);
	alg->base.cra_module = THIS_MODULE;
#ifdef CRYPTO_ALG_SKCIPHER_REQSIZE_LARGE
	alg->base.cra_flags = CRYPTO_ALG_SKCIPHER_REQSIZE_LARGE;
#endif
	alg->min_keysize = CHAOSIMG_KEY_SIZE;
	alg->max_keysize = CHAOSIMG_KEY_SIZE;
	alg->ivsize = CHAOSIMG_TWEAK;
	alg->init = init_tfm;
	alg->setkey = set_key;
	alg->encrypt = encrypt;
	alg->decrypt = decrypt;
	err = crypto_register_skcipher(alg);
	if (err)
		pr_err("cannot register %s: %d\n", alg->base.cra_driver_name,
		       err);
	else
		driver_count++;
	return err;
}

/*
 * Generic first, without which nothing is registered. Later ones that cannot
 * be are left out: what has just been registered is in use by the kernel's own
 * tests, and must not be taken back then.
 */
static int register_drivers(const struct chaosimg_cipher_impl **proved,
			    size_t n)
{
	size_t i;
	int err = register_driver(proved[0]);

	for (i = 1; !err && i < n; i++)
		register_driver(proved[i]);
	return err;
}

/* 1 if @impl computes rightly, 0 if it is to be left out; generic must. */
static int prove(const struct chaosimg_cipher_impl *impl)
{
	int err = chaosimg_selftest(impl, spoil && !strcmp(spoil, impl->name));

	if (err == -EBADMSG) {
		pr_err("chaosimg-%s failed its self-test: not registered\n",
		       impl->name);
		if (impl != &chaosimg_impl_generic)
			return 0;
	}
	return err ?: 1;
}

/* In FIPS mode the crypto API panics over a module that is not signed. */
static bool may_register(void)
{
	if (!fips_enabled || module_sig_ok(THIS_MODULE))
		return true;
	pr_err("not signed: refused in FIPS mode\n");
	return false;
}

static int __init chaosimg_init(void)
{
	const struct chaosimg_cipher_impl *list[CHAOSIMG_IMPLS_MAX];
	const struct chaosimg_cipher_impl *proved[CHAOSIMG_IMPLS_MAX];
	size_t n = chaosimg_cipher_impls(chaosimg_kernel_features(), list,
					 ARRAY_SIZE(list));
	size_t good = 0;
	int result;

	if (!may_register())
		return -EKEYREJECTED;
	/* generic, which is the last, first. */
	while (n) {
		result = prove(list[--n]);
		if (result < 0)
			return result;
		if (result)
			proved[good++] = list[n];
	}
	return register_drivers(proved, good);
}

static void __exit chaosimg_exit(void)
{
	while (driver_count)
		crypto_unregister_skcipher(&drivers[--driver_count].alg);
}

module_init(chaosimg_init);
module_exit(chaosimg_exit);

MODULE_DESCRIPTION("chaosimg length-preserving wide-block cipher for images");
MODULE_AUTHOR("The chaosimg project");
MODULE_LICENSE("Dual BSD/GPL");
MODULE_VERSION("1.0.0");
MODULE_ALIAS_CRYPTO("chaosimg");
MODULE_ALIAS_CRYPTO("chaosimg-generic");
#ifdef CONFIG_X86_64
MODULE_ALIAS_CRYPTO("chaosimg-aesni");
MODULE_ALIAS_CRYPTO("chaosimg-vaes-avx2");
MODULE_ALIAS_CRYPTO("chaosimg-vaes-avx512");
#endif
