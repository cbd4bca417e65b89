// SPDX-License-Identifier: GPL-2.0-or-later
/* chaosimg cipher: the raw cipher, for tests and interoperability. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tool.h"

#define MESSAGE_MAX ((size_t)1 << 30)
#define NAMES_MAX 16

struct request {
	const struct tool_command *cmd;
	const char *key;
	const char *iv;
	const char *impl;
	bool encrypt, decrypt, list;
};

static int list(void)
{
	const char *names[NAMES_MAX];
	size_t n = chaosimg_cipher_list(names, NAMES_MAX), i;

	for (i = 0; i < n && i < NAMES_MAX; i++)
		puts(names[i]);
	return DONE;
}

/* The digits may end in a newline, and the file then ends. */
static int read_key(const char *path, uint8_t key[CHAOSIMG_KEY_SIZE])
{
	char text[2 * CHAOSIMG_KEY_SIZE + 3];
	FILE *f = fopen(path, "re");
	size_t n;
	bool good;

	if (!f)
		return failed_errno(path);
	setvbuf(f, NULL, _IONBF, 0);	/* no copy that is not wiped */
	n = fread(text, 1, sizeof(text) - 1, f);
	good = !ferror(f);
	fclose(f);
	if (!good)
		return failed_errno(path);
	if (n && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	good = hex_to_bytes(text, key, CHAOSIMG_KEY_SIZE);
	explicit_bzero(text, sizeof(text));
	return good ? DONE : failed("%s: not 64 hexadecimal digits", path);
}

static int parse_key(const struct request *r, uint8_t key[CHAOSIMG_KEY_SIZE])
{
	bool good;

	if (!r->key || !r->iv)
		return misused(r->cmd, "a key (-k) and an IV (-i) are needed");
	if (r->key[0] == '@')
		return read_key(r->key + 1, key);
	good = hex_to_bytes(r->key, key, CHAOSIMG_KEY_SIZE);
	/* Let /proc/PID/cmdline show it no longer. */
	explicit_bzero((char *)r->key, strlen(r->key));
	if (!good)
		return misused(r->cmd, "the key is not 64 hexadecimal digits");
	return DONE;
}

/* Return: DONE with the message's length in @len */
static int read_message(uint8_t *buf, size_t *len)
{
	ssize_t n;

	for (*len = 0; *len <= MESSAGE_MAX; *len += (size_t)n) {
		n = read(STDIN_FILENO, buf + *len, MESSAGE_MAX + 1 - *len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return failed_errno("standard input");
		else if (!n)
			break;
		progress_update(*len);
	}
	if (*len > MESSAGE_MAX)
		return failed("standard input: longer than %zu bytes",
			      MESSAGE_MAX);
	if (*len < CHAOSIMG_BLOCK_SIZE)
		return failed("standard input: shorter than %d bytes",
			      CHAOSIMG_BLOCK_SIZE);
	return DONE;
}

static int write_message(const uint8_t *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = write(STDOUT_FILENO, buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed_errno("standard output");
		done += (size_t)n;
		progress_update(done);
	}
	return DONE;
}

static int crypt_message(const struct request *r,
			 const struct chaosimg_cipher *c, const uint8_t *iv,
			 uint8_t *buf)
{
	size_t len;
	int status, err;

	progress_begin("reading", 0);
	status = read_message(buf, &len);
	if (!status) {
		err = chaosimg_cipher_crypt(c, r->encrypt, iv, buf, buf, len);
		progress_begin("writing", len);
		if (err)
			status = failed_library("cipher", err);
		else
			status = write_message(buf, len);
	}
	progress_end();
	explicit_bzero(buf, len);
	return status;
}

/* Room is reserved at once, and taken as it fills: nothing is copied about. */
static int with_buffer(const struct request *r, const struct chaosimg_cipher *c,
		       const uint8_t *iv)
{
	uint8_t *buf;
	int status;

	buf = mmap(NULL, MESSAGE_MAX + 1, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (buf == MAP_FAILED)
		return failed_errno("memory for the message");
	status = crypt_message(r, c, iv, buf);
	munmap(buf, MESSAGE_MAX + 1);
	return status;
}

static int process(const struct request *r)
{
	uint8_t key[CHAOSIMG_KEY_SIZE], iv[CHAOSIMG_IV_SIZE];
	struct chaosimg_cipher *c;
	int status, err;

	if (r->encrypt == r->decrypt)
		return misused(r->cmd, "either -e or -d is needed");
	status = parse_key(r, key);
	if (!status && !hex_to_bytes(r->iv, iv, sizeof(iv)))
		status = misused(r->cmd, "the IV is not 64 hexadecimal digits");
	if (!status) {
		err = chaosimg_cipher_new(r->impl, key, &c);
		if (err)
			status = failed_library(r->impl ? r->impl : "cipher",
						err);
	}
	explicit_bzero(key, sizeof(key));
	if (status)
		return status;
	status = with_buffer(r, c, iv);
	chaosimg_cipher_free(c);
	return status;
}

static int run(const struct tool_command *cmd, int argc, char **argv)
{
	struct request r = { .cmd = cmd };
	int id;

	while ((id = next_option(cmd, argc, argv)) != OPT_END) {
		if (id == OPT_ENCRYPT)
			r.encrypt = true;
		else if (id == OPT_DECRYPT)
			r.decrypt = true;
		else if (id == OPT_KEY)
			set_once(cmd, "--key", &r.key);
		else if (id == OPT_IV)
			set_once(cmd, "--iv", &r.iv);
		else if (id == OPT_IMPL)
			set_once(cmd, "--impl", &r.impl);
		else
			r.list = true;
	}
	if (optind != argc)
		return misused(cmd, "no operand is expected: %s", argv[optind]);
	if (!r.list)
		return process(&r);
	if (r.encrypt || r.decrypt || r.key || r.iv || r.impl)
		return misused(cmd, "--list stands alone");
	return list();
}

static const struct tool_option options[] = {
	{ OPT_ENCRYPT, 'e', "encrypt", NULL, "encrypt" },
	{ OPT_DECRYPT, 'd', "decrypt", NULL, "decrypt" },
	{ OPT_KEY, 'k', "key", "HEX", "the key, 64 digits; or @FILE that holds them" },
	{ OPT_IV, 'i', "iv", "HEX", "the IV, 64 digits" },
	{ OPT_IMPL, 0, "impl", "NAME", "the implementation to use" },
	{ OPT_LIST, 0, "list", NULL, "list implementations, the preferred one first" },
	COMMON_OPTIONS
};

const struct tool_command cmd_cipher = {
	.name = "cipher",
	.summary = "run the raw cipher, for tests",
	.usage = "cipher (-e | -d) -k HEX -i HEX [--impl NAME] <IN >OUT\n"
		 "cipher --list",
	.about = "Encrypts or decrypts all of standard input (16 bytes to 1 GiB) as one message\n"
		 "with the raw chaosimg cipher, which does not authenticate. For tests: other\n"
		 "users of the machine may see a key on the command line.",
	.options = options,
	.run = run,
};
