// SPDX-License-Identifier: GPL-2.0-or-later
/* How chaosimg bench looks for people. */
#include <stdio.h>

#include "bench.h"

#define MB	1e6

static void print_figure(const struct figure *f, double unit, const char *name,
			 int width)
{
	char text[64];

	snprintf(text, sizeof(text), "%.0f %s (%.0f to %.0f)", f->median / unit,
		 name, f->low / unit, f->high / unit);
	printf("  %-*s", width, text);
}

static void heading(const char *what, const char *out, const char *in)
{
	printf("\n%-24s  %-26s  %s\n", what, out, in);
}

static void row(const char *name, const struct pair *p)
{
	printf("  %-22s", name);
	print_figure(&p->out, MB, "MB/s", 26);
	print_figure(&p->in, MB, "MB/s", 0);
	puts("");
}

static void print_cipher(const struct bench *b)
{
	char name[40];
	size_t i;

	heading("cipher, one core", "encrypt", "decrypt");
	for (i = 0; i < b->impls; i++) {
		snprintf(name, sizeof(name), "%s%s", b->impl[i],
			 i ? "" : " (in use)");
		row(name, &b->cipher[i]);
	}
	row("AES-256-GCM (OpenSSL)", &b->gcm);
}

static void print_records(const struct bench *b)
{
	char name[40];

	heading("records, both layers", "seal", "open");
	row("one core", &b->one);
	snprintf(name, sizeof(name), "all cores (%u)", b->cores);
	row(name, &b->all);
	printf("\n%-24s", "passphrase (Argon2id)");
	print_figure(&b->unlock, 1e-3, "ms", 0);
	puts("");
}

static void print_disk(const struct bench *b)
{
	char name[40];

	heading("disk", "write and sync",
		b->cold ? "read, not cached" : "read, from memory");
	snprintf(name, sizeof(name), "a file of %llu MiB",
		 (unsigned long long)(b->disk_bytes >> 20));
	row(name, &b->disk);
}

/* "7 % as long", "3.1 times as long" */
static void print_load(double load)
{
	if (load < 1)
		printf("%.0f %% as long", load * 100);
	else
		printf("%.1f times as long", load);
}

static void print_side(const struct bench *b, const char *doing,
		       const char *crypt, const struct figure *disk,
		       const struct figure *one, const struct figure *all)
{
	double load = bench_load(disk, one);

	printf("%s, the %s (%s takes a core ", doing,
	       load > 1 ? "CPU" : "disk", crypt);
	print_load(load);
	if (load > 1 && b->cores > 1) {
		printf(", all cores together ");
		print_load(bench_load(disk, all));
	}
	printf(")");
}

static void print_verdict(const struct bench *b)
{
	printf("\nWhat takes the time here: ");
	print_side(b, "writing", "sealing", &b->disk.out, &b->one.out,
		   &b->all.out);
	printf(";\n");
	print_side(b, "reading", "opening", &b->disk.in, &b->one.in,
		   &b->all.in);
	puts(".");
	if (!b->cold)
		puts("What was read came from memory: of reading the disk itself this says nothing.");
}

static void print_image(const struct bench *b)
{
	const double bytes = 512 * 512 * 2;

	printf("\nAn image of 512 x 512 in 16 bits takes a core %.2f ms to seal and %.2f ms to open.\n"
	       "With a DIRECTORY its disk is measured beside.\n",
	       bytes / b->one.out.median * 1e3, bytes / b->one.in.median * 1e3);
}

int bench_print(const struct bench *b)
{
	char shown[17000];

	printf("chaosimg %s on %s\n", chaosimg_version(), b->cpu);
	printf("Medians of %u rounds (lowest to highest), at least %u where one takes long.\n"
	       "1 MB is 10^6 bytes; messages and chunks have %u bytes.\n",
	       BENCH_ROUNDS, BENCH_ROUNDS_MIN, b->chunk_size);
	if (b->directory) {
		escape(shown, sizeof(shown), b->directory);
		printf("The disk is that of %s.\n", shown);
	}
	print_cipher(b);
	print_records(b);
	if (b->directory) {
		print_disk(b);
		print_verdict(b);
	} else {
		print_image(b);
	}
	return DONE;
}
