// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a program on top of the mount does, and how long it takes: writes and
 * reads files whose every byte is known, by several processes at a time, or
 * runs a command. Prints the seconds that it took, without its own start.
 *
 * Timed reads look at eight bytes of each page, which tell the page and the
 * file; with -a all bytes are compared, which takes time of its own.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "figures.h"

enum {
	PAGE = 4096,
	PIECE = 1 << 20,
	ROW = 128,		/* bytes of a row in an image of one frame */
	FRAME = 512 * 512 * 2,
	MANY_FRAMES = 8 << 20,	/* files from this size on have frames */
	SERIES = 50,		/* images in a folder */
	STUDY = 500,		/* images in a folder of folders */
	PROCESSES_MAX = 64,
};

static struct {
	unsigned int count, processes;
	uint64_t seed;
	uint64_t frame;		/* the one to be read */
	size_t least, most;	/* sizes of the files are in between */
	size_t chunk;		/* bytes in one read() or write() */
	bool all_bytes;		/* compare all of them */
	bool fsync;		/* after each file */
	bool raw;		/* no DICOM header */
	const char *backing;	/* where a mount stores its files */
} set = {
	.count = 1, .processes = 1, .least = 30 << 10, .most = 600 << 10,
	.chunk = 128 << 10,
};

static uint8_t block[PIECE];	/* what all pieces have in common */
static uint8_t want[PIECE], buffer[PIECE];

/* --- contents ------------------------------------------------------------- */

/* Vigna's splitmix64: any number to one that looks random. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t stamp(unsigned int file, uint64_t page)
{
	return mix(set.seed << 56 ^ (uint64_t)file << 32 ^ page);
}

static void make_block(void)
{
	uint64_t word;

	for (size_t i = 0; i < PIECE; i += sizeof(word)) {
		word = mix(i);
		memcpy(block + i, &word, sizeof(word));
	}
	memcpy(want, block, PIECE);
	memset(buffer, 1, PIECE);
}

static uint8_t *put16(uint8_t *p, unsigned int n)
{
	p[0] = n & 0xff;
	p[1] = n >> 8 & 0xff;
	return p + 2;
}

/* One DICOM data element in explicit VR, little endian; its value is text. */
static uint8_t *put_text(uint8_t *p, unsigned int group, unsigned int element,
			 const char *vr, const char *text)
{
	size_t length = strlen(text), even = (length + 1) & ~(size_t)1;

	p = put16(put16(p, group), element);
	memcpy(p, vr, 2);
	p = put16(p + 2, even);
	memset(p, vr[0] == 'U' ? 0 : ' ', even);
	memcpy(p, text, length);
	return p + even;
}

static uint8_t *put_number(uint8_t *p, unsigned int group, unsigned int element,
			   unsigned int n)
{
	p = put16(put16(p, group), element);
	memcpy(p, "US", 2);
	return put16(put16(p + 2, 2), n);
}

/* An element with a length of 32 bits, of which only the head is put. */
static uint8_t *put_long(uint8_t *p, unsigned int group, unsigned int element,
			 const char *vr, size_t length)
{
	p = put16(put16(p, group), element);
	memcpy(p, vr, 2);
	return put16(put16(put16(p + 2, 0), length), length >> 16);
}

static uint8_t *put_meta(uint8_t *p, const char *class, const char *image)
{
	uint8_t *length, *start;

	memset(p, 0, 128);
	memcpy(p + 128, "DICM", 4);
	p = put16(put16(p + 132, 2), 0);
	memcpy(p, "UL", 2);
	length = put16(p + 2, 4);
	start = length + 4;
	p = put16(put_long(start, 2, 1, "OB", 2), 0x0100);
	p = put_text(p, 2, 2, "UI", class);
	p = put_text(p, 2, 3, "UI", image);
	p = put_text(p, 2, 0x10, "UI", "1.2.840.10008.1.2.1");
	p = put_text(p, 2, 0x12, "UI", "2.25.1000000001");
	put16(put16(length, p - start), 0);
	return p;
}

/* Puts the header of a DICOM file with so many bytes of pixels. */
static size_t put_header(uint8_t *header, unsigned int file, size_t pixels)
{
	const char *class = "1.2.840.10008.5.1.4.1.1.2";
	bool frames = pixels >= MANY_FRAMES;
	char image[64], text[64];
	uint8_t *p;

	snprintf(image, sizeof(image), "2.25.1%03u%09u",
		 (unsigned int)set.seed % 1000, file);
	p = put_meta(header, class, image);
	p = put_text(p, 8, 0x16, "UI", class);
	p = put_text(p, 8, 0x18, "UI", image);
	p = put_text(p, 8, 0x60, "CS", "CT");
	snprintf(text, sizeof(text), "Bench^Patient%05u", file / STUDY);
	p = put_text(p, 0x10, 0x10, "PN", text);
	snprintf(text, sizeof(text), "ID%06u", file / STUDY);
	p = put_text(p, 0x10, 0x20, "LO", text);
	snprintf(text, sizeof(text), "2.25.2%09u", file / STUDY);
	p = put_text(p, 0x20, 0x0d, "UI", text);
	snprintf(text, sizeof(text), "2.25.3%09u", file / SERIES);
	p = put_text(p, 0x20, 0x0e, "UI", text);
	snprintf(text, sizeof(text), "%08u", file);
	p = put_text(p, 0x20, 0x13, "IS", text);
	p = put_number(p, 0x28, 2, 1);
	p = put_text(p, 0x28, 4, "CS", "MONOCHROME2");
	snprintf(text, sizeof(text), "%08zu", frames ? pixels / FRAME : 1);
	p = put_text(p, 0x28, 8, "IS", text);
	p = put_number(p, 0x28, 0x10, frames ? 512 : pixels / ROW);
	p = put_number(p, 0x28, 0x11, frames ? 512 : ROW / 2);
	p = put_number(p, 0x28, 0x100, 16);
	p = put_number(p, 0x28, 0x101, 16);
	p = put_number(p, 0x28, 0x102, 15);
	p = put_number(p, 0x28, 0x103, 0);
	p = put_long(p, 0x7fe0, 0x10, "OW", pixels);
	return p - header;
}

/* As long for every file: all numbers in it have a fixed width. */
static size_t header_size(void)
{
	static size_t size;

	if (!size)
		size = put_header(buffer, 0, 0);
	return size;
}

static size_t file_size(unsigned int file)
{
	size_t size = set.least, unit, range = set.most - set.least;

	if (range)
		size += mix(stamp(file, UINT32_MAX)) % range;
	if (set.raw)
		return size;
	unit = size >= MANY_FRAMES ? FRAME : ROW;
	return header_size() + size / unit * unit;
}

/* The piece of the file that begins at this place, into want. */
static void make_piece(unsigned int file, size_t size, size_t at)
{
	uint64_t word;

	memcpy(want, block, PAGE);
	for (size_t i = 0; i < PIECE && at + i < size; i += PAGE) {
		word = stamp(file, (at + i) / PAGE);
		memcpy(want + i, &word, sizeof(word));
	}
	if (at == 0 && !set.raw)
		put_header(want, file, size - header_size());
}

/* The stamps alone, but in the header's page everything up to its end. */
static bool stamps_match(unsigned int file, size_t at, size_t length)
{
	uint64_t word;

	for (size_t i = 0; i + sizeof(word) <= length; i += PAGE) {
		word = stamp(file, (at + i) / PAGE);
		if (at + i == 0 && !set.raw)
			continue;
		if (memcmp(buffer + i, &word, sizeof(word)))
			return false;
	}
	return true;
}

static bool piece_matches(unsigned int file, size_t size, size_t at,
			  size_t length)
{
	if (!set.all_bytes)
		return stamps_match(file, at, length);
	make_piece(file, size, at);
	return !memcmp(buffer, want, length);
}

/* --- files ---------------------------------------------------------------- */

static void write_file(const char *path, unsigned int file)
{
	size_t size = file_size(file), in_piece, n;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		err(1, "%s", path);
	for (size_t at = 0; at < size; at += n) {
		in_piece = at % PIECE;
		if (in_piece == 0)
			make_piece(file, size, at);
		n = size - at;
		if (n > PIECE - in_piece)
			n = PIECE - in_piece;
		if (n > set.chunk)
			n = set.chunk;
		if (write(fd, want + in_piece, n) != (ssize_t)n)
			err(1, "write %s", path);
	}
	if (set.fsync && fsync(fd))
		err(1, "fsync %s", path);
	if (close(fd))
		err(1, "close %s", path);
}

/* Fills the buffer as far as the file reaches; returns how far that was. */
static size_t read_piece(int fd, const char *path, size_t at)
{
	size_t done = 0, n;
	ssize_t got;

	while (done < PIECE) {
		n = PIECE - done < set.chunk ? PIECE - done : set.chunk;
		got = pread(fd, buffer + done, n, at + done);
		if (got < 0)
			err(1, "read %s", path);
		if (!got)
			break;
		done += got;
	}
	return done;
}

static void read_file(const char *path, unsigned int file)
{
	size_t size = file_size(file), at = 0, n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	do {
		n = read_piece(fd, path, at);
		if (at + n > size || !piece_matches(file, size, at, n))
			errx(1, "%s: wrong bytes from %zu on", path, at);
		at += n;
	} while (n == PIECE);
	if (at != size)
		errx(1, "%s: %zu bytes of %zu", path, at, size);
	close(fd);
}

/* One frame, as a viewer gets it: the header first, then where it points. */
static void read_frame(const char *path, unsigned int file)
{
	size_t size = file_size(file), head = header_size();
	size_t at = head + set.frame * FRAME, skip = -at % PAGE;
	int fd;

	if (at + FRAME > size)
		errx(2, "there is no frame %ju", (uintmax_t)set.frame);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", path);
	if (pread(fd, buffer, PAGE, 0) != PAGE ||
	    pread(fd, buffer, FRAME, at) != FRAME)
		err(1, "read %s", path);
	/* Stamps begin with the first page that begins in this frame. */
	memmove(buffer, buffer + skip, FRAME - skip);
	if (!stamps_match(file, at + skip, FRAME - skip))
		errx(1, "%s: wrong bytes in frame %ju", path,
		     (uintmax_t)set.frame);
	close(fd);
}

/* --- many files, many processes ------------------------------------------- */

static void file_path(char *path, size_t size, const char *folder,
		      unsigned int file)
{
	snprintf(path, size, "%s/study-%03u/series-%02u/image-%06u.dcm", folder,
		 file / STUDY, file / SERIES % (STUDY / SERIES), file);
}

/* Several processes may come to the same folder at the same time. */
static void make_folders(char *path, const char *folder)
{
	for (char *p = path + strlen(folder); (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			err(1, "%s", path);
		*p = '/';
	}
}

/* Each process has series of its own, as each modality that sends has. */
static void share(const char *folder, unsigned int process, bool writing)
{
	char path[PATH_MAX];

	for (unsigned int n = 0; n < set.count; n++) {
		if (n / SERIES % set.processes != process)
			continue;
		file_path(path, sizeof(path), folder, n);
		if (!writing) {
			read_file(path, n);
			continue;
		}
		if (n % SERIES == 0)
			make_folders(path, folder);
		write_file(path, n);
	}
}

static double now(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

static void store_all(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd))
		err(1, "sync %s", path);
	close(fd);
}

static void wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	if (status)
		exit(1);
}

/* The processes begin together, when the pipe is closed. */
static double many_files(const char *folder, bool writing)
{
	pid_t pids[PROCESSES_MAX];
	int start[2];
	double begun;
	char byte;

	if (pipe(start))
		err(1, "pipe");
	for (unsigned int i = 0; i < set.processes; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			err(1, "fork");
		if (pids[i])
			continue;
		close(start[1]);
		if (mlockall(MCL_CURRENT))
			warn("mlockall");
		if (read(start[0], &byte, 1) < 0)
			err(1, "read");
		share(folder, i, writing);
		exit(0);
	}
	usleep(20000);
	begun = now();
	close(start[1]);
	for (unsigned int i = 0; i < set.processes; i++)
		wait_for(pids[i]);
	/* A mount's dirty pages first, then those of what stores its files. */
	if (writing && set.backing) {
		store_all(folder);
		store_all(set.backing);
	}
	return now() - begun;
}

static double one_file(const char *path, void (*work)(const char *,
						      unsigned int))
{
	double begun;

	if (mlockall(MCL_CURRENT))
		warn("mlockall");
	begun = now();
	work(path, 0);
	return now() - begun;
}

/* What the command prints is of no interest, what it complains of is. */
static double command(char **argv)
{
	posix_spawn_file_actions_t actions;
	extern char **environ;
	double begun;
	pid_t pid;
	int error;

	if (posix_spawn_file_actions_init(&actions) ||
	    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null",
					     O_WRONLY, 0))
		errx(1, "posix_spawn");
	begun = now();
	error = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	if (error)
		errx(1, "%s: %s", argv[0], strerror(error));
	wait_for(pid);
	return now() - begun;
}

/* --- the command line ----------------------------------------------------- */

static void usage(void)
{
	fputs("usage: files_bench [OPTION..] WHAT ARGUMENT..\n"
	      "  write FOLDER, read FOLDER    many files\n"
	      "  write-one FILE, read-one FILE, read-frame FILE\n"
	      "  run COMMAND..\n"
	      "  -n N  so many files      -p N  by so many processes\n"
	      "  -l N  bytes, at least    -m N  bytes, at most\n"
	      "  -c N  bytes at a time    -s N  the seed\n"
	      "  -a    compare all bytes  -f    fsync after each file\n"
	      "  -r    not DICOM          -i N  which frame\n"
	      "  -b FOLDER  sync this too, at the end\n",
	      stderr);
	exit(2);
}

static uint64_t number(const char *text, uint64_t least, uint64_t most)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *end || n < least || n > most)
		errx(2, "not a number from %ju to %ju: %s", (uintmax_t)least,
		     (uintmax_t)most, text);
	return n;
}

static void set_option(int option)
{
	switch (option) {
	case 'n': set.count = number(optarg, 1, 100000000); break;
	case 'p': set.processes = number(optarg, 1, PROCESSES_MAX); break;
	case 'l': set.least = number(optarg, 1, UINT32_MAX); break;
	case 'm': set.most = number(optarg, 1, UINT32_MAX); break;
	case 'c': set.chunk = number(optarg, 512, PIECE); break;
	case 's': set.seed = number(optarg, 0, 255); break;
	case 'i': set.frame = number(optarg, 0, UINT32_MAX); break;
	case 'a': set.all_bytes = true; break;
	case 'f': set.fsync = true; break;
	case 'r': set.raw = true; break;
	case 'b': set.backing = optarg; break;
	default: usage();
	}
}

static double run(const char *what, char **argv)
{
	if (!strcmp(what, "write"))
		return many_files(argv[0], true);
	if (!strcmp(what, "read"))
		return many_files(argv[0], false);
	if (!strcmp(what, "write-one"))
		return one_file(argv[0], write_file);
	if (!strcmp(what, "read-one"))
		return one_file(argv[0], read_file);
	if (!strcmp(what, "read-frame"))
		return one_file(argv[0], read_frame);
	if (strcmp(what, "run"))
		usage();
	return command(argv);
}

int main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "+n:p:l:m:c:s:i:b:afr")) != -1)
		set_option(option);
	if (argc - optind < 2)
		usage();
	if (set.most < set.least || PIECE % set.chunk)
		errx(2, "these sizes do not fit each other");
	make_block();
	if (!set.raw)
		header_size();
	printf("%.6f\n", run(argv[optind], argv + optind + 1));
	return 0;
}
