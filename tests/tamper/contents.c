// SPDX-License-Identifier: GPL-2.0-or-later
/* What is in the archive, earlier and now. */
#include <stdio.h>
#include <string.h>

#include "tamper.h"

#define NAME_LENGTH	255

enum {
	SCAN_ROWS = 64,
	SCAN_PIXELS = SCAN_ROWS * SCAN_ROWS * 2,
	SCAN_TEXT = 6000,
};

static uint8_t content[100000];
static char long_name[3][NAME_LENGTH + 1];

void contents_draw(void)
{
	size_t i;

	for (i = 0; i < 3; i++)
		snprintf(long_name[i], sizeof(long_name[i]), "%0*d",
			 NAME_LENGTH, (int)i);
	for (i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)chance(256);
}

/* --- an image --------------------------------------------------------------- */

static struct {
	uint8_t data[32768];
	size_t len;
} scan;

static void add(const void *data, size_t len)
{
	must(scan.len + len <= sizeof(scan.data));
	memcpy(scan.data + scan.len, data, len);
	scan.len += len;
}

static void add_number(uint32_t v, int bytes)
{
	while (bytes--) {
		add(&(uint8_t){ (uint8_t)v }, 1);
		v >>= 8;
	}
}

static void add_header(uint32_t tag, const char *vr, size_t len)
{
	add_number(tag >> 16, 2);
	add_number(tag & 0xffff, 2);
	add(vr, 2);
	if (!strcmp(vr, "OW"))
		add_number(0, 2);
	add_number((uint32_t)len, strcmp(vr, "OW") ? 2 : 4);
}

static void add_text(uint32_t tag, const char *vr, const char *text)
{
	add_header(tag, vr, strlen(text));
	add(text, strlen(text));
}

static void add_short(uint32_t tag, uint32_t v)
{
	add_header(tag, "US", 2);
	add_number(v, 2);
}

/*
 * Chunks of each compartment, and of several: so the stored file has parts. The
 * patient's name has 8 letters.
 */
static void make_scan(const char *patient, const uint8_t *noise)
{
	char text[SCAN_TEXT + 1];

	memset(&scan, 0, sizeof(scan));
	scan.len = 128;
	add("DICM", 4);
	add_text(0x00020010, "UI", "1.2.840.10008.1.2.1 ");
	add_text(0x00080060, "CS", "CT");
	add_text(0x00100010, "PN", patient);
	snprintf(text, sizeof(text), "%*s", SCAN_TEXT, patient);
	add_text(0x00104000, "LT", text);
	add_short(0x00280002, 1);
	add_text(0x00280004, "CS", "MONOCHROME2 ");
	add_short(0x00280010, SCAN_ROWS);
	add_short(0x00280011, SCAN_ROWS);
	add_short(0x00280100, 16);
	add_short(0x00280101, 16);
	add_short(0x00280102, 15);
	add_short(0x00280103, 0);
	add_header(0x00281201, "OW", SCAN_TEXT);
	add(noise, SCAN_TEXT);
	add_header(0x7fe00010, "OW", SCAN_PIXELS);
	add(noise + SCAN_TEXT, SCAN_PIXELS);
}

static void write_scan(const char *path, const char *patient, size_t noise)
{
	make_scan(patient, content + noise);
	client_write(path, scan.data, scan.len, 0);
}

static void write_small_image(void)
{
	uint8_t dicom[4000];
	FILE *f = fopen("tests/fuzz/corpus/dicom/seed-explicit", "re");
	size_t n = f ? fread(dicom, 1, sizeof(dicom), f) : 0;

	must(n);
	fclose(f);
	client_write("image.dcm", dicom, n, 0);
}

/* --- all of it -------------------------------------------------------------- */

void contents_fill(void)
{
	char path[300];

	client_mkdir("dir");
	client_mkdir("dir/sub");
	client_mkdir("dir2");
	client_mkdir("dir3");
	client_write("empty", "", 0, 0);
	client_write("one", "1", 1, 0);
	client_write("small", content, 100, 0);
	client_write("chunk", content + 100, 4096, 0);
	client_write("three", content + 300, 12288, 0);
	client_write("ten", content + 900, 40000, 0);
	client_write("sparse", content + 50, 5000, 0);
	client_write("sparse", content + 70, 100, 60000);
	write_small_image();
	write_scan("scan.dcm", "ROE^JANE", 20000);
	write_scan("dir/scan.dcm", "DOE^JOHN", 30000);
	client_write(long_name[0], content + 1, 3000, 0);
	client_write(long_name[1], content + 2, 5000, 0);
	client_write("dir/a", content + 3, 9000, 0);
	client_write("dir/b", content + 4, 20000, 0);
	client_write("dir/sub/c", content + 5, 8192, 0);
	client_write("dir2/a", content + 6, 6000, 0);
	client_mkdir(long_name[2]);
	snprintf(path, sizeof(path), "%s/in", long_name[2]);
	client_write(path, content + 11, 100, 0);
	client_write("dir3/in", content + 7, 4500, 0);
	client_write("dir/gone", content + 8, 4500, 0);
	client_write("linked", content + 9, 7000, 0);
	client_link("linked", "dir/linked");
	client_write("left", content + 10, 16000, 0);
	client_symlink("DOE^JANE", "link1");
	client_symlink("../ten", "dir/link2");
	client_symlink("a target of another length", "dir2/link3");
	client_setxattr("small", NOTE, "a note");
	client_setxattr("three", NOTE, "another note");
	client_setxattr("dir/a", NOTE, "third note");
}

void contents_change(void)
{
	client_write("three", content + 5000, 4096, 4096);
	client_write("ten", content + 6000, 9000, 8192);
	client_write("small", content + 100, 5000, 100);
	client_truncate("dir/b", 7000);
	client_write("dir/a", content + 7000, 300, 4000);
	client_write("linked", content + 8000, 1000, 0);
	client_unlink("dir/gone");
	client_rename("dir3", "dir2/dir4");
	client_rename("chunk", "dir/chunk2");
	client_unlink("link1");
	client_symlink("ROE^RICHARD", "link1");
	client_write("new", content + 9000, 10000, 0);
	write_scan("scan.dcm", "POE^JILL", 50000);
	write_scan("dir/scan3.dcm", "LOE^JACK", 60000);
	client_setxattr("three", NOTE, "changed note");
	client_truncate("sparse", 70000);
	client_leave_open("left", content + 9500, 4096, 4096);
}
