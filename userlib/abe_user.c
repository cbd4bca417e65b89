// SPDX-License-Identifier: GPL-2.0-or-later
/* Users' keys: what one authority issued, or several of them merged. */
#include <errno.h>
#include <libgen.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abe.h"
#include "archive.h"
#include "bytes.h"
#include "config_file.h"
#include "error.h"

bool abe_user_name_ok(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	return i && i <= CHAOSIMG_USER_MAX;
}

void chaosimg_user_free(struct chaosimg_user *u)
{
	unsigned int i;

	if (!u)
		return;
	for (i = 0; i < u->authorities; i++)
		free(u->authority[i]);
	secret_free(u->attribute);
	free(u);
}

const char *chaosimg_user_name(const struct chaosimg_user *u)
{
	return u->name;
}

const char *chaosimg_user_attribute(const struct chaosimg_user *u, size_t i)
{
	return i < u->attributes ? u->attribute[i].name : NULL;
}

const struct chaosimg_authority *
chaosimg_user_authority(const struct chaosimg_user *u, size_t i)
{
	return i < u->authorities ? u->authority[i] : NULL;
}

int chaosimg_user_verify(const struct chaosimg_user *u)
{
	unsigned int i;

	for (i = 0; i < u->attributes; i++) {
		const struct abe_attribute *a = &u->attribute[i];

		if (!abe_attribute_ok(u->authority[a->authority], &u->hash, a))
			return fail(EBADMSG, "%s of %s: not what the authority issued",
				    a->name, u->name);
	}
	return 0;
}

/* --- decoding -------------------------------------------------------------- */

static bool same_name(const struct chaosimg_user *u, const char *authority)
{
	unsigned int i;

	for (i = 0; i < u->authorities; i++)
		if (!strcmp(u->authority[i]->name, authority))
			return true;
	return false;
}

static bool take_attribute(struct abe_reader *in, struct chaosimg_user *u)
{
	struct abe_attribute *a = &u->attribute[u->attributes];
	const char *authority = u->authority[u->authorities - 1]->name;
	const uint8_t *points;
	size_t len;

	abe_take_text(in, 1, a->name, CHAOSIMG_ATTRIBUTE_MAX);
	len = strlen(a->name);
	points = abe_take(in, ABE_G2 + ABE_G1);
	if (!points || !policy_name_ok(a->name, len))
		return false;
	a->name[len] = '@';
	memcpy(a->name + len + 1, authority, strlen(authority) + 1);
	a->authority = u->authorities - 1;
	abe_hash_attribute(&a->F, u->authority[a->authority]->id, a->name);
	u->attributes++;
	return g2_read(&a->K, points) && g1_read(&a->L, points + ABE_G2);
}

static int take_authority(struct abe_reader *in, const char *where,
			  struct chaosimg_user *u)
{
	struct chaosimg_authority *a;
	unsigned int n;
	int ret = abe_take_public(in, where, &a);

	if (ret)
		return ret;
	if (same_name(u, a->name)) {
		free(a);
		return fail(EBADMSG, "%s: damaged: an authority twice", where);
	}
	u->authority[u->authorities++] = a;
	n = abe_take_number(in, 2);
	if (!n || n > ABE_USER_ATTRIBUTES_MAX - u->attributes)
		return fail(EBADMSG, "%s: damaged: %u attributes", where, n);
	while (n--)
		if (!take_attribute(in, u))
			return fail(EBADMSG, "%s: damaged: not a user's key",
				    where);
	return 0;
}

/* How many there can be at most, so that no more memory is locked. */
static size_t attributes_room(const struct abe_reader *in)
{
	size_t n = in->left / (2 + ABE_G2 + ABE_G1);

	return n < ABE_USER_ATTRIBUTES_MAX ? n : ABE_USER_ATTRIBUTES_MAX;
}

static int take_user(struct abe_reader *in, const char *where,
		     struct chaosimg_user *u)
{
	unsigned int n;
	int ret = 0;

	abe_take_text(in, 1, u->name, CHAOSIMG_USER_MAX);
	n = abe_take_number(in, 1);
	if (in->bad || !abe_user_name_ok(u->name) || !n ||
	    n > CHAOSIMG_AUTHORITIES_MAX)
		return fail(EBADMSG, "%s: damaged: not a user's key", where);
	while (n-- && !ret)
		ret = take_authority(in, where, u);
	if (!ret && in->left)
		ret = fail(EBADMSG, "%s: damaged: too long", where);
	return ret;
}

int abe_user_decode(const char *where, const uint8_t *bytes, size_t len,
		    struct chaosimg_user **out)
{
	struct abe_reader body;
	struct chaosimg_user *u;
	int ret = abe_open(where, ABE_FILE_USER, bytes, len, &body);

	if (ret)
		return ret;
	u = calloc(1, sizeof(*u));
	if (!u)
		return fail(ENOMEM, "%s: no memory", where);
	u->attribute = secret_alloc(attributes_room(&body) *
				    sizeof(*u->attribute));
	ret = u->attribute ? take_user(&body, where, u) : -ENOMEM;
	if (ret) {
		chaosimg_user_free(u);
		return ret;
	}
	abe_hash_user(&u->hash, u->name);
	*out = u;
	return 0;
}

int chaosimg_user_read(const char *path, struct chaosimg_user **out)
{
	uint8_t *bytes;
	size_t len;
	int ret = abe_file_read(path, &bytes, &len);

	if (ret)
		return ret;
	ret = abe_user_decode(path, bytes, len, out);
	secret_free(bytes);
	return ret;
}

/* --- encoding -------------------------------------------------------------- */

static size_t encoded_size(const struct chaosimg_user *u)
{
	size_t size = ABE_FRAME + 1 + strlen(u->name) + 1;
	unsigned int i;

	for (i = 0; i < u->authorities; i++)
		size += abe_public_size(u->authority[i]) + 2;
	for (i = 0; i < u->attributes; i++)
		size += 1 + strcspn(u->attribute[i].name, "@") + ABE_G2 +
			ABE_G1;
	return size;
}

static uint8_t *put_attribute(uint8_t *out, const struct abe_attribute *a)
{
	size_t len = strcspn(a->name, "@");

	*out++ = (uint8_t)len;
	out = abe_put(out, a->name, len);
	blst_p2_affine_compress(out, &a->K);
	blst_p1_affine_compress(out + ABE_G2, &a->L);
	return out + ABE_G2 + ABE_G1;
}

static uint8_t *put_authority(uint8_t *out, const struct chaosimg_user *u,
			      unsigned int which)
{
	uint16_t n = 0;
	uint8_t *count;
	unsigned int i;

	count = abe_put_public(out, u->authority[which]);
	out = count + 2;
	for (i = 0; i < u->attributes; i++) {
		if (u->attribute[i].authority != which)
			continue;
		out = put_attribute(out, &u->attribute[i]);
		n++;
	}
	put_le16(count, n);
	return out;
}

int abe_user_encode(const struct chaosimg_user *u, uint8_t **out, size_t *len)
{
	uint8_t *at;
	unsigned int i;

	*len = encoded_size(u);
	*out = secret_alloc(*len);
	if (!*out)
		return -ENOMEM;
	at = abe_put_text(*out + ABE_HEAD, 1, u->name);
	*at++ = (uint8_t)u->authorities;
	for (i = 0; i < u->authorities; i++)
		at = put_authority(at, u, i);
	abe_seal(*out, ABE_FILE_USER, *len - ABE_FRAME);
	return 0;
}

/* --- merging --------------------------------------------------------------- */

static int find_authority(struct chaosimg_user *u, const char *path,
			  const struct chaosimg_authority *a,
			  unsigned int *which)
{
	for (*which = 0; *which < u->authorities; ++*which) {
		if (strcmp(u->authority[*which]->name, a->name))
			continue;
		if (memcmp(u->authority[*which]->id, a->id, ABE_ID))
			return fail(EKEYREJECTED, "%s: another authority that is called %s",
				    path, a->name);
		return 0;
	}
	if (u->authorities == CHAOSIMG_AUTHORITIES_MAX)
		return fail(EINVAL, "%s: more than %d authorities", path,
			    CHAOSIMG_AUTHORITIES_MAX);
	u->authority[*which] = malloc(sizeof(*a));
	if (!u->authority[*which])
		return fail(ENOMEM, "%s: no memory", path);
	*u->authority[*which] = *a;
	u->authorities++;
	return 0;
}

static int merge_attribute(struct chaosimg_user *u, const char *path,
			   const struct abe_attribute *from, unsigned int which)
{
	struct abe_attribute *to = u->attribute;

	while (to < u->attribute + u->attributes &&
	       strcmp(to->name, from->name))
		to++;
	if (to == u->attribute + ABE_USER_ATTRIBUTES_MAX)
		return fail(EINVAL, "%s: more than %d attributes", path,
			    ABE_USER_ATTRIBUTES_MAX);
	if (to == u->attribute + u->attributes)
		u->attributes++;
	*to = *from;
	to->authority = which;
	return 0;
}

static int merge(struct chaosimg_user *u, const char *path,
		 const struct chaosimg_user *from)
{
	unsigned int i, which;
	int ret;

	if (!u->name[0])
		memcpy(u->name, from->name, sizeof(u->name));
	if (strcmp(u->name, from->name))
		return fail(EKEYREJECTED, "%s: of %s, not of %s", path,
			    from->name, u->name);
	ret = chaosimg_user_verify(from);
	for (i = 0; i < from->attributes && !ret; i++) {
		const struct abe_attribute *a = &from->attribute[i];

		ret = find_authority(u, path, from->authority[a->authority],
				     &which);
		if (!ret)
			ret = merge_attribute(u, path, a, which);
	}
	return ret;
}

static int merge_file(struct chaosimg_user *u, const char *path)
{
	struct chaosimg_user *from;
	int ret = chaosimg_user_read(path, &from);

	if (ret)
		return ret;
	ret = merge(u, path, from);
	chaosimg_user_free(from);
	return ret;
}

enum { KEY_NAME_MAX = 100 };

/* In place of the file that is there, at once. */
static int replace(const struct chaosimg_user *u, const char *path)
{
	char *folder = strdup(path), *name = strdup(path);
	uint8_t *bytes = NULL;
	int dirfd = -1, ret;
	size_t len;

	ret = folder && name ? 0 : fail(ENOMEM, "%s: no memory", path);
	/* A temporary name is made of it. */
	if (!ret && strlen(basename(name)) > KEY_NAME_MAX)
		ret = fail(ENAMETOOLONG, "%s: the name is longer than %d bytes",
			   path, KEY_NAME_MAX);
	if (!ret) {
		dirfd = open(dirname(folder),
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dirfd < 0)
			ret = fail_errno("%s", path);
	}
	if (!ret)
		ret = abe_user_encode(u, &bytes, &len);
	if (!ret)
		ret = config_file_write(dirfd, basename(name), path,
					(char *)bytes, len);
	secret_free(bytes);
	if (dirfd >= 0)
		close(dirfd);
	free(folder);
	free(name);
	return ret;
}

int chaosimg_user_merge(const char *path, const char *const *issued, size_t n)
{
	struct chaosimg_user *u = calloc(1, sizeof(*u));
	int ret = 0;
	size_t i;

	if (!u)
		return fail(ENOMEM, "%s: no memory", path);
	u->attribute = secret_alloc(ABE_USER_ATTRIBUTES_MAX *
				    sizeof(*u->attribute));
	if (!u->attribute)
		ret = -ENOMEM;
	/* What is there already comes first, and is checked as all else. */
	if (!ret && !access(path, F_OK))
		ret = merge_file(u, path);
	for (i = 0; i < n && !ret; i++)
		ret = merge_file(u, issued[i]);
	if (!ret)
		ret = n ? replace(u, path) :
		      fail(EINVAL, "%s: nothing to add", path);
	chaosimg_user_free(u);
	return ret;
}
