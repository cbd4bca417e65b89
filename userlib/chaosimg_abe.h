/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libchaosimg: who may read what, by attributes.
 *
 * Authorities that know nothing of each other issue attributes to users. A key
 * is encapsulated under a policy over such attributes, with the authorities'
 * public keys alone; a user whose attributes satisfy the policy gets it back.
 * Construction, formats and what they promise: Documentation/access.rst.
 *
 * Errors and threads as in chaosimg.h. Every object may be read by several
 * threads at once.
 */
#ifndef CHAOSIMG_ABE_H
#define CHAOSIMG_ABE_H

#include <chaosimg.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

#define CHAOSIMG_ATTRIBUTE_MAX		64	/* longest name of an attribute */
						/* and of an authority */
#define CHAOSIMG_USER_MAX		128	/* longest name of a user */
#define CHAOSIMG_POLICY_LEAVES_MAX	64	/* attributes in a policy */
#define CHAOSIMG_AUTHORITIES_MAX	32	/* in a policy, and of a user */
#define CHAOSIMG_USER_ATTRIBUTES_MAX	256	/* of a user */
#define CHAOSIMG_AUTHORITY_ID_SIZE	32
#define CHAOSIMG_COMPARTMENTS		3

/* --- policies -------------------------------------------------------------- */

struct chaosimg_policy;

/**
 * chaosimg_policy_parse() - read a policy
 * @text: as "(radiologist@hospital AND 2 OF (a@x, b@x, c@y)) OR admin@hospital"
 * @out: receives it; free it with chaosimg_policy_free()
 *
 * Grammar: Documentation/access.rst, "Policies".
 *
 * Return: 0; -EINVAL with the column and what is wrong there; -ENOMEM.
 */
int chaosimg_policy_parse(const char *text, struct chaosimg_policy **out);

/** chaosimg_policy_free() - free a policy; NULL is allowed */
void chaosimg_policy_free(struct chaosimg_policy *p);

/**
 * chaosimg_policy_text() - the one form of a policy
 * @p: the policy
 *
 * Return: text that lives as long as @p, and reads back as the same policy.
 */
const char *chaosimg_policy_text(const struct chaosimg_policy *p);

/**
 * chaosimg_policy_attribute() - the attributes of a policy
 * @p: the policy
 * @i: which, from the left; one that is used twice is there twice
 *
 * Return: "attribute@authority", which lives as long as @p; NULL past the last.
 */
const char *chaosimg_policy_attribute(const struct chaosimg_policy *p,
				      size_t i);

/**
 * chaosimg_policy_satisfied() - would these attributes do?
 * @p: the policy
 * @attributes: each "attribute@authority"
 * @n: how many
 */
bool chaosimg_policy_satisfied(const struct chaosimg_policy *p,
			       const char *const *attributes, size_t n);

/**
 * chaosimg_policy_check() - does a policy make sense?
 * @p: the policy
 *
 * What can be parsed can be satisfied. This finds an attribute that stands
 * twice in one AND, OR or list, and, in policies of up to 16 different
 * attributes, one that makes no difference.
 *
 * Return: 0; -EINVAL with the column and what is odd there.
 */
int chaosimg_policy_check(const struct chaosimg_policy *p);

/* --- authorities ----------------------------------------------------------- */

struct chaosimg_authority;

/**
 * chaosimg_authority_create() - a new authority
 * @name: what stands after the "@" of its attributes
 * @secret: the file for its secret key; must not exist; made with mode 0600
 * @public: the file for its public key; must not exist
 *
 * Both are synced. After an error there is neither.
 *
 * Return: 0; -EINVAL for a bad name; -EEXIST; -ENOMEM; -EIO without randomness;
 * the system's error.
 */
int chaosimg_authority_create(const char *name, const char *secret,
			      const char *public);

/**
 * chaosimg_authority_read() - read an authority's public key
 * @path: the file
 * @out: receives it; free it with chaosimg_authority_free()
 *
 * Return: 0; -EBADMSG if it is no such file or damaged; -EPROTONOSUPPORT;
 * -ENOMEM; the system's error.
 */
int chaosimg_authority_read(const char *path, struct chaosimg_authority **out);

/** chaosimg_authority_free() - free a public key; NULL is allowed */
void chaosimg_authority_free(struct chaosimg_authority *a);

/** chaosimg_authority_name() - Return: its name, which lives as long as @a */
const char *chaosimg_authority_name(const struct chaosimg_authority *a);

/**
 * chaosimg_authority_id() - what tells it from any other, whatever its name
 * @a: the authority
 * @id: receives a hash of its name and public key
 */
void chaosimg_authority_id(const struct chaosimg_authority *a,
			   uint8_t id[CHAOSIMG_AUTHORITY_ID_SIZE]);

/**
 * chaosimg_authority_issue() - give attributes to a user
 * @secret: the authority's secret key file
 * @user: the name all authorities know this one person by: 1 to
 *	CHAOSIMG_USER_MAX bytes without control characters
 * @attributes: without "@authority"; each once
 * @n: how many, 1 to CHAOSIMG_USER_ATTRIBUTES_MAX
 * @path: the file for the user's key; must not exist; made with mode 0600
 *
 * Return: 0; -EINVAL; -EEXIST; -EBADMSG for the secret key; -EPROTONOSUPPORT;
 * -ENOMEM; -EIO without randomness; the system's error.
 */
int chaosimg_authority_issue(const char *secret, const char *user,
			     const char *const *attributes, size_t n,
			     const char *path);

/* --- users ----------------------------------------------------------------- */

struct chaosimg_user;

/**
 * chaosimg_user_read() - read a user's key
 * @path: the file, from one authority or merged
 * @out: receives it; free it with chaosimg_user_free()
 *
 * Return: 0; -EBADMSG if it is no such file or damaged; -EPROTONOSUPPORT;
 * -ENOMEM; the system's error.
 */
int chaosimg_user_read(const char *path, struct chaosimg_user **out);

/** chaosimg_user_free() - wipe and free; NULL is allowed */
void chaosimg_user_free(struct chaosimg_user *u);

/** chaosimg_user_name() - Return: whose key it is; lives as long as @u */
const char *chaosimg_user_name(const struct chaosimg_user *u);

/**
 * chaosimg_user_attribute() - the attributes of a user
 * @u: the user
 * @i: which
 *
 * Return: "attribute@authority", which lives as long as @u; NULL past the last.
 */
const char *chaosimg_user_attribute(const struct chaosimg_user *u, size_t i);

/**
 * chaosimg_user_verify() - is each attribute's key what its authority issued?
 * @u: the user
 *
 * Against the authority's public key that came with it: whose that is, only
 * chaosimg_authority_id() tells.
 *
 * Return: 0; -EBADMSG with the attribute; -ENOMEM.
 */
int chaosimg_user_verify(const struct chaosimg_user *u);

/**
 * chaosimg_user_authority() - the authorities that a user has attributes from
 * @u: the user
 * @i: which
 *
 * Return: the authority, which lives as long as @u; NULL past the last.
 */
const struct chaosimg_authority *
chaosimg_user_authority(const struct chaosimg_user *u, size_t i);

/**
 * chaosimg_user_merge() - put what several authorities issued into one key
 * @path: the user's key file; made, or replaced atomically, with mode 0600
 * @issued: files of the same user; of an attribute that is there already, the
 *	last one counts
 * @n: how many
 *
 * Each is verified. Nothing is changed on failure.
 *
 * Return: 0; -EKEYREJECTED if one is another user's, or two authorities have
 * one name; -EINVAL for too many; what chaosimg_user_read() returns.
 */
int chaosimg_user_merge(const char *path, const char *const *issued, size_t n);

/* --- keys under policies --------------------------------------------------- */

/**
 * chaosimg_policy_encapsulate() - draw a key that only a policy's users can get
 * @p: the policy
 * @authorities: at least all that it names
 * @n: how many
 * @context: @context_len bytes that have to be the same again; not secret
 * @context_len: length of @context
 * @key: receives the key: uniform, and fresh. Use locked memory
 * @out: receives the ciphertext; free() it
 * @len: receives its length
 *
 * Return: 0; -ENOENT if an authority is not among @authorities; -EINVAL if two
 * of one name are, or too many; -ENOMEM; -EIO without randomness.
 */
int chaosimg_policy_encapsulate(const struct chaosimg_policy *p,
				const struct chaosimg_authority *const *authorities,
				size_t n, const void *context,
				size_t context_len,
				uint8_t key[CHAOSIMG_KEY_SIZE], uint8_t **out,
				size_t *len);

/**
 * chaosimg_policy_decapsulate() - get the key back
 * @u: the user
 * @in: the ciphertext
 * @len: its length
 * @context: as it was
 * @context_len: length of @context
 * @key: receives the key, zeros on failure; use locked memory
 *
 * Return: 0; -EACCES if the user's attributes do not satisfy the policy;
 * -EBADMSG if the ciphertext is damaged or not made as it has to be, or the
 * context is another one; -EPROTONOSUPPORT; -ENOMEM.
 */
int chaosimg_policy_decapsulate(const struct chaosimg_user *u,
				const uint8_t *in, size_t len,
				const void *context, size_t context_len,
				uint8_t key[CHAOSIMG_KEY_SIZE]);

/**
 * chaosimg_policy_of() - the policy that a ciphertext says it is under
 * @in: the ciphertext; checked for damage, but not authenticated
 * @len: its length
 * @out: receives the policy; free it with chaosimg_policy_free()
 *
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT; -ENOMEM.
 */
int chaosimg_policy_of(const uint8_t *in, size_t len,
		       struct chaosimg_policy **out);

/* --- policies of an archive ------------------------------------------------ */

/*
 * An archive's configuration holds a policy for each of its compartments, or
 * none, and the public keys of the authorities that they name. Every keyset
 * that is made from then on is wrapped under them, beside the archive key.
 *
 * Besides these it may hold others, each with a name: those are for the files
 * that the archive's content rules choose by it, which have keysets of their
 * own.
 */

/**
 * struct chaosimg_policies - what an archive's new keysets are wrapped under
 * @name: empty for the archive's own
 * @policy: for each compartment; NULL if it has none
 * @authorities: how many of @authority are in use
 * @authority: those that the policies name
 * @next: those that have a name, in the order of their names; or NULL
 */
struct chaosimg_policies {
	char name[CHAOSIMG_POLICY_NAME_MAX + 1];
	struct chaosimg_policy *policy[CHAOSIMG_COMPARTMENTS];
	size_t authorities;
	struct chaosimg_authority *authority[CHAOSIMG_AUTHORITIES_MAX];
	struct chaosimg_policies *next;
};

/**
 * chaosimg_policies_read() - read them without a key
 * @path: the archive's directory
 * @out: receives them; checked for damage, but not authenticated. Free them
 *	with chaosimg_policies_free()
 *
 * Return: 0; -EBADMSG; -EPROTONOSUPPORT; -ENOMEM; the system's error.
 */
int chaosimg_policies_read(const char *path, struct chaosimg_policies **out);

/**
 * chaosimg_policies_get() - the same, authenticated
 * @a: the archive, opened with its key
 * @out: receives them
 *
 * Return: 0; -EACCES without the archive key; as chaosimg_policies_read().
 */
int chaosimg_policies_get(struct chaosimg_archive *a,
			  struct chaosimg_policies **out);

/** chaosimg_policies_free() - free all of them; NULL is allowed */
void chaosimg_policies_free(struct chaosimg_policies *p);

/**
 * struct chaosimg_policies_change - what chaosimg_policies_set() does
 * @name: of the policies that are changed, of up to CHAOSIMG_POLICY_NAME_MAX
 *	letters, digits, "-", "_" and "."; NULL for the archive's own. If there
 *	are none of that name, they are made; without any policy, they go
 * @set: bit mask of the compartments that get another policy, or none; 1 << c
 * @policy: for each of those its policy, or NULL for none
 * @authority: authorities that these policies may name, beside those that the
 *	archive's policies name already
 * @authorities: how many
 */
struct chaosimg_policies_change {
	const char *name;
	unsigned int set;
	const struct chaosimg_policy *policy[CHAOSIMG_COMPARTMENTS];
	const struct chaosimg_authority *const *authority;
	size_t authorities;
};

/**
 * chaosimg_policies_set() - change an archive's policies
 * @a: the archive; CHAOSIMG_ARCHIVE_NOLOCK lets a mount hold it meanwhile
 * @change: what is changed
 * @id: receives the id of the keyset that is made under the new policies, and
 *	serves new files from then on, or those that rules choose for them; zeros
 *	if a name has gone. May be NULL
 *
 * Policies and keyset come into force at once: after a crash there are both,
 * or neither. Older keysets stay as they are.
 *
 * Return: 0; -ENOENT for an authority that is not known, or if there is nothing
 * of that name to remove; -EEXIST if an authority goes by the name of another
 * that a policy which stays believes; -EINVAL for too many, or a bad name;
 * -EBUSY if the archive's rules choose what is to go; as chaosimg_archive_rekey()
 * and chaosimg_rules_load().
 */
int chaosimg_policies_set(struct chaosimg_archive *a,
			  const struct chaosimg_policies_change *change,
			  uint8_t id[CHAOSIMG_ID_SIZE]);

/**
 * chaosimg_policies_extend() - wrap the keysets that are there under them, too
 * @a: the archive
 * @name: of the policies; NULL for the archive's own. Each for its own keysets
 * @keysets: receives how many were changed
 *
 * Each keyset's file is replaced atomically; what it was wrapped under already
 * stays. The newest one, which has them from the beginning, is done again.
 *
 * Return: 0; -ENOENT if the archive has no such policies; -ENOSPC if a keyset has
 * too many wraps; as chaosimg_archive_rekey().
 */
int chaosimg_policies_extend(struct chaosimg_archive *a, const char *name,
			     uint32_t *keysets);

/**
 * chaosimg_keyset_list() - the keysets that an archive's configuration lists
 * @path: the archive's directory
 * @ids: receives their ids, CHAOSIMG_ID_SIZE bytes each, by age, the newest last;
 *	free() it. Not authenticated
 * @n: receives how many
 *
 * Return: as chaosimg_policies_read().
 */
int chaosimg_keyset_list(const char *path, uint8_t **ids, size_t *n);

/**
 * chaosimg_keyset_policies() - under which policies a keyset is wrapped
 * @path: the archive's directory
 * @id: the keyset's id
 * @fn: called for each; if it does not return 0, that is the end
 * @ctx: for @fn
 *
 * Not authenticated: only who has the attributes can tell.
 *
 * Return: 0; what @fn returned; -ENOKEY if the keyset is missing; -EBADMSG;
 * -EPROTONOSUPPORT; -ENOMEM; the system's error.
 */
int chaosimg_keyset_policies(const char *path,
			     const uint8_t id[CHAOSIMG_ID_SIZE],
			     int (*fn)(void *ctx, enum chaosimg_compartment c,
				       const struct chaosimg_policy *p),
			     void *ctx);

/**
 * chaosimg_keyset_policy() - the name of the policy that a keyset is for
 * @path: the archive's directory
 * @id: the keyset's id
 * @name: receives it; empty for the archive's own. Not authenticated
 *
 * Return: as chaosimg_keyset_policies().
 */
int chaosimg_keyset_policy(const char *path, const uint8_t id[CHAOSIMG_ID_SIZE],
			   char name[CHAOSIMG_POLICY_NAME_MAX + 1]);

/**
 * chaosimg_keyset_opens() - which compartments of a keyset a user can open
 * @path: the archive's directory
 * @id: the keyset's id
 * @u: the user
 * @set: receives a bit mask of them; 0 if there are none
 *
 * They are opened to find out.
 *
 * Return: 0; -ENOKEY if the keyset is missing; -EBADMSG; -EPROTONOSUPPORT;
 * -ENOMEM; the system's error.
 */
int chaosimg_keyset_opens(const char *path, const uint8_t id[CHAOSIMG_ID_SIZE],
			  const struct chaosimg_user *u, unsigned int *set);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
