// SPDX-License-Identifier: GPL-2.0-or-later
/* Authorities: their two keys, and what they issue. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "abe.h"
#include "archive.h"
#include "error.h"

#define ID_LABEL	"chaosimg-abe-v1 authority"

enum {
	SECRET_MAX = ABE_FRAME + 1 + CHAOSIMG_ATTRIBUTE_MAX + 2 * ABE_SCALAR,
	PUBLIC_MAX = ABE_FRAME + 1 + CHAOSIMG_ATTRIBUTE_MAX + ABE_PUBLIC,
};

_Static_assert((int)POLICY_AUTHORITY_KEY == (int)ABE_PUBLIC,
	       "what is stored of an authority is its key");

int abe_authority_id(struct chaosimg_authority *a)
{
	uint8_t msg[sizeof(ID_LABEL) + 1 + CHAOSIMG_ATTRIBUTE_MAX + ABE_PUBLIC];
	uint8_t *end = abe_put(msg, ID_LABEL, sizeof(ID_LABEL));

	end = abe_put_public(end, a);
	if (!EVP_Digest(msg, (size_t)(end - msg), a->id, NULL, EVP_sha256(),
			NULL))
		return fail(EIO, "SHA-256 failed");
	return 0;
}

/* --- making one ------------------------------------------------------------ */

static int write_secret(const struct abe_secret *secret, const char *path)
{
	uint8_t *frame = secret_alloc(SECRET_MAX), *end;
	size_t len;
	int ret;

	if (!frame)
		return -ENOMEM;
	end = abe_put_text(frame + ABE_HEAD, 1, secret->name);
	scalar_write(end, &secret->alpha);
	scalar_write(end + ABE_SCALAR, &secret->y);
	len = (size_t)(end + 2 * ABE_SCALAR - frame) - ABE_HEAD;
	abe_seal(frame, ABE_FILE_SECRET, len);
	ret = abe_file_create(path, 0600, frame, ABE_FRAME + len);
	secret_free(frame);
	return ret;
}

static int write_public(const struct chaosimg_authority *a, const char *path)
{
	uint8_t frame[PUBLIC_MAX];

	abe_put_public(frame + ABE_HEAD, a);
	abe_seal(frame, ABE_FILE_PUBLIC, abe_public_size(a));
	return abe_file_create(path, 0644, frame,
			       ABE_FRAME + abe_public_size(a));
}

static int create(struct abe_secret *secret, const char *secret_path,
		  const char *public_path)
{
	struct chaosimg_authority a = { .id = { 0 } };
	int ret = scalar_random(&secret->alpha);

	if (!ret)
		ret = scalar_random(&secret->y);
	if (ret)
		return ret;
	abe_public_key(secret, &a);
	ret = write_secret(secret, secret_path);
	if (ret)
		return ret;
	ret = write_public(&a, public_path);
	if (ret)
		unlink(secret_path);
	return ret;
}

int chaosimg_authority_create(const char *name, const char *secret_path,
			      const char *public_path)
{
	struct abe_secret *secret;
	size_t len = strlen(name);
	int ret;

	if (!policy_name_ok(name, len))
		return fail(EINVAL, "not an authority's name (1 to %d letters, digits and ._-+:/=)",
			    CHAOSIMG_ATTRIBUTE_MAX);
	secret = secret_alloc(sizeof(*secret));
	if (!secret)
		return -ENOMEM;
	memcpy(secret->name, name, len + 1);
	ret = create(secret, secret_path, public_path);
	secret_free(secret);
	return ret;
}

/* --- its public key -------------------------------------------------------- */

int chaosimg_authority_read(const char *path, struct chaosimg_authority **out)
{
	struct abe_reader body;
	uint8_t *frame;
	size_t len;
	int ret = abe_file_read(path, &frame, &len);

	if (ret)
		return ret;
	ret = abe_open(path, ABE_FILE_PUBLIC, frame, len, &body);
	if (!ret)
		ret = abe_take_public(&body, path, out);
	if (!ret && body.left) {
		free(*out);
		ret = fail(EBADMSG, "%s: damaged: too long", path);
	}
	secret_free(frame);
	return ret;
}

void chaosimg_authority_free(struct chaosimg_authority *a)
{
	free(a);
}

const char *chaosimg_authority_name(const struct chaosimg_authority *a)
{
	return a->name;
}

void chaosimg_authority_id(const struct chaosimg_authority *a,
			   uint8_t id[CHAOSIMG_AUTHORITY_ID_SIZE])
{
	memcpy(id, a->id, ABE_ID);
}

int authority_decode(const char *where, const char *name,
		     const uint8_t key[POLICY_AUTHORITY_KEY],
		     struct chaosimg_authority **out)
{
	uint8_t bytes[1 + CHAOSIMG_ATTRIBUTE_MAX + ABE_PUBLIC];
	uint8_t *end = abe_put_text(bytes, 1, name);
	struct abe_reader in = { .at = bytes };

	end = abe_put(end, key, ABE_PUBLIC);
	in.left = (size_t)(end - bytes);
	return abe_take_public(&in, where, out);
}

const uint8_t *authority_key(const struct chaosimg_authority *a)
{
	return a->bytes;
}

/* --- what it issues -------------------------------------------------------- */

static bool secret_decode(struct abe_reader *body, struct abe_secret *secret)
{
	const uint8_t *alpha, *y;

	abe_take_text(body, 1, secret->name, CHAOSIMG_ATTRIBUTE_MAX);
	alpha = abe_take(body, ABE_SCALAR);
	y = abe_take(body, ABE_SCALAR);
	return y && !body->left &&
	       policy_name_ok(secret->name, strlen(secret->name)) &&
	       scalar_read(&secret->alpha, alpha) &&
	       scalar_read(&secret->y, y);
}

static int secret_read(const char *path, struct abe_secret *secret)
{
	struct abe_reader body;
	uint8_t *frame;
	size_t len;
	int ret = abe_file_read(path, &frame, &len);

	if (ret)
		return ret;
	ret = abe_open(path, ABE_FILE_SECRET, frame, len, &body);
	if (!ret && !secret_decode(&body, secret))
		ret = fail(EBADMSG, "%s: damaged: not an authority's secret key",
			   path);
	secret_free(frame);
	return ret;
}

static int check_names(const char *user, const char *const *attributes,
		       size_t n)
{
	size_t i, j;

	if (!abe_user_name_ok(user))
		return fail(EINVAL, "not a user's name (1 to %d bytes without control characters)",
			    CHAOSIMG_USER_MAX);
	if (!n || n > ABE_USER_ATTRIBUTES_MAX)
		return fail(EINVAL, "1 to %d attributes can be issued",
			    ABE_USER_ATTRIBUTES_MAX);
	for (i = 0; i < n; i++) {
		if (!policy_name_ok(attributes[i], strlen(attributes[i])))
			return fail(EINVAL, "\"%.64s\" is not an attribute's name (1 to %d letters, digits and ._-+:/=)",
				    attributes[i], CHAOSIMG_ATTRIBUTE_MAX);
		for (j = 0; j < i; j++)
			if (!strcmp(attributes[i], attributes[j]))
				return fail(EINVAL, "%s is there twice",
					    attributes[i]);
	}
	return 0;
}

static void join(char *out, const char *attribute, const char *authority)
{
	uint8_t *end = abe_put((uint8_t *)out, attribute, strlen(attribute));

	end = abe_put(end, "@", 1);
	abe_put(end, authority, strlen(authority) + 1);
}

static int issue(const struct abe_secret *secret, struct chaosimg_user *u,
		 const char *const *attributes, size_t n)
{
	int ret = 0;

	abe_public_key(secret, u->authority[0]);
	ret = abe_authority_id(u->authority[0]);
	abe_hash_user(&u->hash, u->name);
	for (; u->attributes < n && !ret; u->attributes++) {
		struct abe_attribute *a = &u->attribute[u->attributes];

		join(a->name, attributes[u->attributes], secret->name);
		abe_hash_attribute(&a->F, u->authority[0]->id, a->name);
		ret = abe_attribute_key(secret, &u->hash, a);
	}
	return ret;
}

static int issue_to(const struct abe_secret *secret, const char *user,
		    const char *const *attributes, size_t n, const char *path)
{
	struct chaosimg_user *u = calloc(1, sizeof(*u));
	uint8_t *frame = NULL;
	int ret = -ENOMEM;
	size_t len;

	if (!u)
		return fail(ENOMEM, "no memory");
	memcpy(u->name, user, strlen(user) + 1);
	u->authority[0] = calloc(1, sizeof(*u->authority[0]));
	u->authorities = 1;
	if (u->authority[0])
		u->attribute = secret_alloc(n * sizeof(*u->attribute));
	else
		fail(ENOMEM, "no memory");
	if (u->attribute)
		ret = issue(secret, u, attributes, n);
	if (!ret)
		ret = abe_user_encode(u, &frame, &len);
	if (!ret)
		ret = abe_file_create(path, 0600, frame, len);
	secret_free(frame);
	chaosimg_user_free(u);
	return ret;
}

int chaosimg_authority_issue(const char *secret_path, const char *user,
			     const char *const *attributes, size_t n,
			     const char *path)
{
	struct abe_secret *secret;
	int ret = check_names(user, attributes, n);

	if (ret)
		return ret;
	secret = secret_alloc(sizeof(*secret));
	if (!secret)
		return -ENOMEM;
	ret = secret_read(secret_path, secret);
	if (!ret)
		ret = issue_to(secret, user, attributes, n, path);
	secret_free(secret);
	return ret;
}
