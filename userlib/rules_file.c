// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ARCHIVE/rules: the text as the administrator wrote it, and three comments
 * behind it: the version, a MAC of all up to there under a key of the archive,
 * and a checksum of all up to there. Changed under the configuration's lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <xxhash.h>

#include "archive.h"
#include "config_change.h"
#include "config_file.h"
#include "error.h"
#include "fdname.h"
#include "hex.h"
#include "keyring.h"
#include "rules.h"

#define MAC_LABEL	"chaosimg rules mac key v1"
#define VERSION_PREFIX	"# chaosimg rules "
#define VERSION_LINE	VERSION_PREFIX "1\n"
#define MAC_PREFIX	"# mac "
#define CHECKSUM_FORMAT	"# checksum %016" PRIx64 "\n"

enum {
	MAC_SIZE = 32,
	VERSION_LEN = sizeof(VERSION_LINE) - 1,
	MAC_LEN = sizeof(MAC_PREFIX) - 1 + 2 * MAC_SIZE + 1,
	CHECKSUM_LEN = 11 + 16 + 1,
	TRAILER_LEN = VERSION_LEN + MAC_LEN + CHECKSUM_LEN,
};

static int compute_mac(const struct chaosimg_archive *a, const char *text,
		       size_t len, uint8_t mac[MAC_SIZE])
{
	uint8_t *key = secret_alloc(CHAOSIMG_KEY_SIZE);
	size_t n;
	int ret;

	if (!key)
		return -ENOMEM;
	ret = keyring_subkey(a->ring, MAC_LABEL, key, CHAOSIMG_KEY_SIZE);
	if (!ret && !EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key,
			       CHAOSIMG_KEY_SIZE, (const uint8_t *)text, len,
			       mac, MAC_SIZE, &n))
		ret = fail(ENOMEM, "HMAC-SHA256: no memory");
	secret_free(key);
	return ret;
}

static void put_checksum(const char *text, size_t len,
			 char line[CHECKSUM_LEN + 1])
{
	snprintf(line, CHECKSUM_LEN + 1, CHECKSUM_FORMAT,
		 (uint64_t)XXH3_64bits(text, len));
}

/* The text, ended by a newline, and the version. */
static char *begin(const struct chaosimg_rules *r, size_t *len)
{
	char *p = malloc(r->len + 1 + TRAILER_LEN + 1);

	if (!p)
		return NULL;
	memcpy(p, r->text, r->len);
	*len = r->len;
	if (*len && p[*len - 1] != '\n')
		p[(*len)++] = '\n';
	memcpy(p + *len, VERSION_LINE, VERSION_LEN);
	*len += VERSION_LEN;
	return p;
}

static int render(const struct chaosimg_archive *a,
		  const struct chaosimg_rules *r, char **out, size_t *len)
{
	char *p = begin(r, len), hex[2 * MAC_SIZE + 1];
	uint8_t mac[MAC_SIZE];
	int ret;

	if (!p)
		return fail(ENOMEM, "out of memory");
	ret = compute_mac(a, p, *len, mac);
	if (ret) {
		free(p);
		return ret;
	}
	hex_encode(mac, sizeof(mac), hex);
	*len += (size_t)sprintf(p + *len, MAC_PREFIX "%s\n", hex);
	put_checksum(p, *len, p + *len);
	*len += CHECKSUM_LEN;
	*out = p;
	return 0;
}

static int store(struct chaosimg_archive *a, const struct chaosimg_rules *r,
		 const char *where)
{
	char *text = NULL;
	size_t len = 0;
	int ret = render(a, r, &text, &len);

	if (ret)
		return ret;
	ret = config_file_write(a->fd, RULES_FILE, where, text, len);
	free(text);
	return ret;
}

/* A policy that is not there could not be heeded. */
static int check_policies(const struct chaosimg_rules *r, struct config *cfg)
{
	for (uint32_t i = 0; i < r->rule.n; i++) {
		const struct rule *rule = rule_at(r, i);

		if (!config_policies(cfg, rule->policy))
			return fail(ENOENT, "rule %s: the archive has no policy %s",
				    rule->name, rule->policy);
	}
	return 0;
}

int chaosimg_rules_store(struct chaosimg_archive *a,
			 const struct chaosimg_rules *r)
{
	struct config_change c;
	int ret = config_change_begin(&c, a);

	if (ret)
		return ret;
	ret = check_policies(r, c.cfg);
	if (!ret)
		ret = store(a, r, c.path);
	config_change_cancel(&c);
	return ret;
}

/* --- reading --------------------------------------------------------------- */

/* What needs no key. @len is then that of the administrator's text. */
static int check_form(const char *text, size_t *len, const char *where)
{
	char line[CHECKSUM_LEN + 1];
	const char *trailer;

	if (*len < TRAILER_LEN)
		return fail(EBADMSG, "%s: damaged: too short", where);
	put_checksum(text, *len - CHECKSUM_LEN, line);
	if (memcmp(text + *len - CHECKSUM_LEN, line, CHECKSUM_LEN))
		return fail(EBADMSG, "%s: damaged: wrong checksum", where);
	*len -= TRAILER_LEN;
	trailer = text + *len;
	if (!memcmp(trailer, VERSION_LINE, VERSION_LEN) &&
	    !memcmp(trailer + VERSION_LEN, MAC_PREFIX, strlen(MAC_PREFIX)))
		return 0;
	if (memmem(trailer, TRAILER_LEN, VERSION_PREFIX,
		   strlen(VERSION_PREFIX)))
		return fail(EPROTONOSUPPORT, "%s: its version is not one of this program",
			    where);
	return fail(EBADMSG, "%s: damaged: does not end as rules do", where);
}

static int check_mac(const struct chaosimg_archive *a, const char *text,
		     size_t len, const char *where)
{
	const char *written = text + len + VERSION_LEN + strlen(MAC_PREFIX);
	char hex[2 * MAC_SIZE + 1];
	uint8_t mac[MAC_SIZE];
	int ret = compute_mac(a, text, len + VERSION_LEN, mac);

	if (ret)
		return ret;
	hex_encode(mac, sizeof(mac), hex);
	if (CRYPTO_memcmp(written, hex, 2 * MAC_SIZE))
		return fail(EBADMSG, "%s: the rules were altered by someone without the key",
			    where);
	return 0;
}

int rules_file_check(int dirfd, const char *where)
{
	char *text;
	size_t len;
	int ret = config_file_read(dirfd, RULES_FILE, where, &text, &len);

	if (ret)
		return ret;
	ret = check_form(text, &len, where);
	free(text);
	return ret;
}

int chaosimg_rules_load(struct chaosimg_archive *a,
			struct chaosimg_rules **out)
{
	char path[FDNAME_SIZE], where[FDNAME_SIZE + sizeof(RULES_FILE)];
	char *text;
	size_t len;
	int ret;

	fdname(a->fd, path);
	if (!keyring_whole(a->ring))
		return fail(EACCES, "%s: its rules need all keys", path);
	snprintf(where, sizeof(where), "%s/" RULES_FILE, path);
	ret = config_file_read(a->fd, RULES_FILE, where, &text, &len);
	if (ret)
		return ret;
	ret = check_form(text, &len, where);
	if (!ret)
		ret = check_mac(a, text, len, where);
	if (!ret)
		ret = chaosimg_rules_parse(text, len, where, out);
	free(text);
	/* Rules that were right once, and are authentic. */
	return ret == -EINVAL ? -EBADMSG : ret;
}

int rules_without_policy(struct chaosimg_archive *a, const char *name)
{
	struct chaosimg_rules *r;
	int ret = chaosimg_rules_load(a, &r);

	if (ret)
		return ret == -ENOENT ? 0 : ret;
	for (uint32_t i = 0; i < r->rule.n && !ret; i++)
		if (!strcmp(rule_at(r, i)->policy, name))
			ret = fail(EBUSY, "policy %s: rule %s names it", name,
				   rule_at(r, i)->name);
	chaosimg_rules_free(r);
	return ret;
}

int rules_make(struct chaosimg_archive *a, const char *where)
{
	struct chaosimg_rules *none;
	int ret;

	if (!faccessat(a->fd, RULES_FILE, F_OK, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (errno != ENOENT)
		return fail_errno("%s/" RULES_FILE, where);
	ret = chaosimg_rules_parse("", 0, where, &none);
	if (ret)
		return ret;
	ret = store(a, none, where);
	chaosimg_rules_free(none);
	return ret;
}
