// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text of an escrow.
 *
 * It holds the archive key, the archive's id and the chunk size: 60 bytes with
 * their own checksum, ten on each of six lines. A line is a Bech32m string
 * (BIP 350), whose checksum finds up to four wrong characters for certain, and
 * whose human-readable part, "chaosimg" and the line's number, is not printed.
 * No table is indexed by a secret, and no branch depends on one but whether
 * the text is right.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "archive.h"
#include "error.h"
#include "escrow.h"
#include "hex.h"

#define ESCROW_MAGIC	"chaosimg-escrow "
#define ARCHIVE_WORD	"archive "
#define SUM_LABEL	"chaosimg escrow v1"

enum {
	LINES = 6,
	LINE_BYTES = 10,
	DATA_CHARS = LINE_BYTES * 8 / 5,
	CHECK_CHARS = 6,
	LINE_CHARS = DATA_CHARS + CHECK_CHARS,
	GROUP = 4,
	BECH32M = 0x2bc830a3,

	AT_FORMAT = 0,
	AT_CHUNK_BITS = 1,
	AT_ID = 2,
	AT_KEY = AT_ID + CHAOSIMG_ID_SIZE,
	AT_SUM = AT_KEY + CHAOSIMG_KEY_SIZE,
	PAYLOAD = LINES * LINE_BYTES,
	SUM_SIZE = PAYLOAD - AT_SUM,
};

static const char charset[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/** struct work - what is secret on the way; in locked memory */
struct work {
	uint8_t payload[PAYLOAD];
	uint8_t line[LINE_CHARS];
	uint8_t hashed[sizeof(SUM_LABEL) - 1 + AT_SUM];
	uint8_t digest[EVP_MAX_MD_SIZE];
};

/* --- Bech32m -------------------------------------------------------------- */

/* All ones if a == b, else 0; both below 256. */
static uint32_t equal(uint32_t a, uint32_t b)
{
	return 0u - ((((a ^ b) - 1) >> 31) & 1);
}

static char to_char(uint8_t value)
{
	uint32_t c = 0, i;

	for (i = 0; i < 32; i++)
		c |= equal(i, value) & (uint8_t)charset[i];
	return (char)c;
}

/* The character's value; *bad becomes nonzero if it is none. */
static uint8_t to_value(char ch, uint32_t *bad)
{
	uint32_t c = (uint8_t)ch, v = 0, known = 0, i;

	/* Letters come in both cases. */
	c |= 0x20 & ~(0u - (((c - 'A') | ('Z' - c)) >> 31));
	for (i = 0; i < 32; i++) {
		uint32_t hit = equal(c, (uint8_t)charset[i]);

		v |= hit & i;
		known |= hit;
	}
	*bad |= ~known;
	return (uint8_t)v;
}

static uint32_t polymod(uint32_t sum, uint8_t value)
{
	static const uint32_t gen[5] = {
		0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3,
	};
	uint32_t top = sum >> 25;
	int i;

	sum = (sum & 0x1ffffff) << 5 ^ value;
	for (i = 0; i < 5; i++)
		sum ^= (0u - (top >> i & 1)) & gen[i];
	return sum;
}

/* Over the human-readable part of line @n, and @count values. */
static uint32_t line_sum(int n, const uint8_t *value, size_t count)
{
	char hrp[] = "chaosimg0";
	uint32_t sum = 1;
	size_t i;

	hrp[sizeof(hrp) - 2] = (char)('0' + n);
	for (i = 0; hrp[i]; i++)
		sum = polymod(sum, (uint8_t)hrp[i] >> 5);
	sum = polymod(sum, 0);
	for (i = 0; hrp[i]; i++)
		sum = polymod(sum, (uint8_t)hrp[i] & 31);
	for (i = 0; i < count; i++)
		sum = polymod(sum, value[i]);
	return sum;
}

/* Ten bytes are 16 values of five bits: two blocks of five bytes each. */
static void to_values(const uint8_t *in, uint8_t *out)
{
	int block, i;

	for (block = 0; block < 2; block++) {
		uint64_t bits = 0;

		for (i = 0; i < 5; i++)
			bits = bits << 8 | in[5 * block + i];
		for (i = 0; i < 8; i++)
			out[8 * block + i] = bits >> (35 - 5 * i) & 31;
	}
}

static void to_bytes(const uint8_t *in, uint8_t *out)
{
	int block, i;

	for (block = 0; block < 2; block++) {
		uint64_t bits = 0;

		for (i = 0; i < 8; i++)
			bits = bits << 5 | in[8 * block + i];
		for (i = 0; i < 5; i++)
			out[5 * block + i] = (uint8_t)(bits >> (32 - 8 * i));
	}
}

/* --- the whole ------------------------------------------------------------ */

static int payload_sum(struct work *w, uint8_t sum[SUM_SIZE])
{
	enum { LABEL = sizeof(SUM_LABEL) - 1 };
	unsigned int len;

	memcpy(w->hashed, SUM_LABEL, LABEL);
	memcpy(w->hashed + LABEL, w->payload, AT_SUM);
	if (!EVP_Digest(w->hashed, sizeof(w->hashed), w->digest, &len,
			EVP_sha256(), NULL))
		return fail(ENOMEM, "SHA-256: no memory");
	memcpy(sum, w->digest, SUM_SIZE);
	return 0;
}

static uint8_t chunk_bits(uint32_t size)
{
	uint8_t bits = 0;

	while (size >> bits > 1)
		bits++;
	return bits;
}

/* --- to text -------------------------------------------------------------- */

static char *print_line(struct work *w, int n, char *out)
{
	uint32_t sum;
	int i;

	to_values(w->payload + (n - 1) * LINE_BYTES, w->line);
	memset(w->line + DATA_CHARS, 0, CHECK_CHARS);
	sum = line_sum(n, w->line, LINE_CHARS) ^ BECH32M;
	for (i = 0; i < CHECK_CHARS; i++)
		w->line[DATA_CHARS + i] = sum >> (25 - 5 * i) & 31;
	*out++ = (char)('0' + n);
	*out++ = ' ';
	for (i = 0; i < LINE_CHARS; i++) {
		if (i % GROUP == 0 && i <= DATA_CHARS)
			*out++ = ' ';
		*out++ = to_char(w->line[i]);
	}
	*out++ = '\n';
	return out;
}

static int format(struct work *w, const struct escrow *e, char *text)
{
	char id[2 * CHAOSIMG_ID_SIZE + 1];
	int n, err;

	w->payload[AT_FORMAT] = 1;
	w->payload[AT_CHUNK_BITS] = chunk_bits(e->chunk_size);
	memcpy(w->payload + AT_ID, e->archive_id, CHAOSIMG_ID_SIZE);
	memcpy(w->payload + AT_KEY, e->key, CHAOSIMG_KEY_SIZE);
	err = payload_sum(w, w->payload + AT_SUM);
	if (err)
		return err;
	hex_encode(e->archive_id, sizeof(e->archive_id), id);
	text += sprintf(text, "# Who has these lines and the archive's files can read every image.\n"
			"# Keep them on paper, in a safe. Lines that begin with # need not be typed.\n"
			ESCROW_MAGIC "1\n" ARCHIVE_WORD "%s\n", id);
	for (n = 1; n <= LINES; n++)
		text = print_line(w, n, text);
	*text = '\0';
	return 0;
}

int escrow_format(const struct escrow *e, char text[CHAOSIMG_ESCROW_SIZE])
{
	struct work *w = secret_alloc(sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	err = format(w, e, text);
	secret_free(w);
	return err;
}

/* --- from text ------------------------------------------------------------ */

/** struct line - one line of the text, without blanks at its ends */
struct line {
	const char *at;
	size_t len;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next line that means something; false if there is none. */
static bool next_line(const char **text, const char *end, struct line *l)
{
	while (*text < end) {
		const char *stop = memchr(*text, '\n', (size_t)(end - *text));
		const char *from = *text;

		if (!stop)
			stop = end;
		*text = stop < end ? stop + 1 : end;
		while (from < stop && is_blank(*from))
			from++;
		while (from < stop && is_blank(stop[-1]))
			stop--;
		*l = (struct line){ from, (size_t)(stop - from) };
		if (l->len && *from != '#')
			return true;
	}
	return false;
}

static bool begins(const struct line *l, const char *with)
{
	return l->len >= strlen(with) && !memcmp(l->at, with, strlen(with));
}

static int parse_magic(const struct line *l)
{
	if (!begins(l, ESCROW_MAGIC) || l->len != strlen(ESCROW_MAGIC) + 1)
		return fail(EBADMSG, "escrow: does not begin with \"" ESCROW_MAGIC "1\"");
	if (l->at[l->len - 1] != '1')
		return fail(EPROTONOSUPPORT, "escrow: of another format than 1");
	return 0;
}

static int parse_id(const struct line *l, uint8_t id[CHAOSIMG_ID_SIZE])
{
	size_t word = strlen(ARCHIVE_WORD);

	if (l->len != word + 2 * CHAOSIMG_ID_SIZE ||
	    !hex_decode(l->at + word, id, CHAOSIMG_ID_SIZE))
		return fail(EBADMSG, "escrow: a typing error in the line \"archive\"");
	return 0;
}

static int check_number(const struct line *l, int n)
{
	if (l->at[0] == '0' + n && l->len > 1 &&
	    (is_blank(l->at[1]) || l->at[1] == '-'))
		return 0;
	return fail(EBADMSG, "escrow: line %d has to come here, with its number before it",
		    n);
}

static int parse_data(struct work *w, const struct line *l, int n)
{
	uint32_t bad = 0;
	size_t i, count = 0;
	int err = check_number(l, n);

	if (err)
		return err;
	for (i = 1; i < l->len; i++) {
		if (is_blank(l->at[i]) || l->at[i] == '-')
			continue;
		if (count < LINE_CHARS)
			w->line[count] = to_value(l->at[i], &bad);
		count++;
	}
	if (count != LINE_CHARS)
		return fail(EBADMSG, "escrow: line %d has %zu characters, not %d",
			    n, count, LINE_CHARS);
	if (bad || line_sum(n, w->line, LINE_CHARS) != BECH32M)
		return fail(EBADMSG, "escrow: a typing error in line %d", n);
	to_bytes(w->line, w->payload + (n - 1) * LINE_BYTES);
	return 0;
}

static int parse_payload(struct work *w, struct escrow *e)
{
	uint8_t sum[SUM_SIZE];
	uint8_t bits = w->payload[AT_CHUNK_BITS];
	int err = payload_sum(w, sum);

	if (err)
		return err;
	if (memcmp(sum, w->payload + AT_SUM, sizeof(sum)))
		return fail(EBADMSG, "escrow: its lines do not belong together");
	if (w->payload[AT_FORMAT] != 1)
		return fail(EPROTONOSUPPORT, "escrow: of another format than 1");
	if (bits > 31 || 1u << bits < CHAOSIMG_CHUNK_MIN ||
	    1u << bits > CHAOSIMG_CHUNK_MAX)
		return fail(EBADMSG, "escrow: bad chunk size");
	e->chunk_size = 1u << bits;
	memcpy(e->archive_id, w->payload + AT_ID, CHAOSIMG_ID_SIZE);
	memcpy(e->key, w->payload + AT_KEY, CHAOSIMG_KEY_SIZE);
	return 0;
}

static int incomplete(int n)
{
	return fail(EAGAIN, n > LINES ? "escrow: incomplete" :
		    "escrow: line %d is missing", n);
}

static int parse_lines(struct work *w, const char *text, const char *end,
		       struct escrow *e)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	bool has_id = false;
	struct line l;
	int n, err;

	if (!next_line(&text, end, &l))
		return incomplete(LINES + 1);
	err = parse_magic(&l);
	for (n = 0; !err && n <= LINES; n++) {
		if (!next_line(&text, end, &l))
			return incomplete(n ? n : 1);
		if (!n && begins(&l, "archive")) {
			has_id = true;
			err = parse_id(&l, id);
			continue;
		}
		n += !n;
		err = parse_data(w, &l, n);
	}
	if (!err)
		err = parse_payload(w, e);
	if (!err && has_id && memcmp(id, e->archive_id, sizeof(id)))
		err = fail(EBADMSG, "escrow: a typing error in the line \"archive\"");
	if (!err && next_line(&text, end, &l))
		err = fail(EBADMSG, "escrow: more follows after line %d", LINES);
	return err;
}

int escrow_parse(const char *text, size_t len, struct escrow *e)
{
	struct work *w = secret_alloc(sizeof(*w));
	int err;

	if (!w)
		return -ENOMEM;
	err = parse_lines(w, text, text + len, e);
	secret_free(w);
	return err;
}
