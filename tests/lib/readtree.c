// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * readtree KEYFILE..: for each path of an archive on standard input, open it
 * with the key files in turn, for writing, and tell all that is in it:
 *
 *	key N				key file N opens it
 *	dir PATH			PATH in hexadecimal digits
 *	link PATH TARGET
 *	xattr PATH NAME VALUE		of a file
 *	file PATH LENGTH [BAD..]	and LENGTH bytes; what cannot be read is
 *					zeros in them, BAD is where it begins
 *	error PATH ABOUT TEXT		ABOUT: file, or anything else
 *	end
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "chaosimg_names.h"

enum { STEP = 4096 };

static struct chaosimg_archive *archive;

static void hex(const void *data, size_t len)
{
	const unsigned char *p = data;

	putchar(' ');
	for (size_t i = 0; i < len; i++)
		printf("%02x", p[i]);
}

static void error(const char *path, const char *about)
{
	printf("error");
	hex(path, strlen(path));
	printf(" %s %s\n", about, chaosimg_errmsg());
}

static void tell_xattrs(int fd, const char *path)
{
	char names[4096], name[CHAOSIMG_NAME_MAX + 1];
	unsigned char value[4096], plain[4096];
	ssize_t len = flistxattr(fd, names, sizeof(names)), n;

	for (const char *p = names; len > 0 && p < names + len;
	     p += strlen(p) + 1) {
		if (chaosimg_xattr_name_decrypt(archive, p, name))
			continue;
		n = fgetxattr(fd, p, value, sizeof(value));
		if (n < 0 || chaosimg_xattr_value_decrypt(archive, name, value,
							  (size_t)n, plain)) {
			error(path, "xattr");
			continue;
		}
		printf("xattr");
		hex(path, strlen(path));
		hex(name, strlen(name));
		hex(plain, (size_t)n - CHAOSIMG_XATTR_OVERHEAD);
		putchar('\n');
	}
}

static void tell_file(int dirfd, const char *stored, const char *path,
		      const uint8_t binding[CHAOSIMG_BINDING_SIZE])
{
	int fd = openat(dirfd, stored, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	struct chaosimg_file *f;
	uint64_t length;
	char *data;

	tell_xattrs(fd, path);
	if (chaosimg_file_open(archive, fd, binding, CHAOSIMG_FILE_WRITE, &f)) {
		error(path, "file");
		return;
	}
	length = chaosimg_file_length(f);
	data = calloc(1, length + 1);
	if (!data)
		abort();
	printf("file");
	hex(path, strlen(path));
	printf(" %llu", (unsigned long long)length);
	for (uint64_t at = 0; at < length; at += STEP) {
		size_t n = length - at < STEP ? length - at : STEP;

		if (chaosimg_file_read(f, data + at, n, at) != (ssize_t)n)
			printf(" %llu", (unsigned long long)at);
	}
	putchar('\n');
	fwrite(data, 1, length, stdout);
	free(data);
	if (chaosimg_file_close(f))
		error(path, "close");
}

static void tell_link(int dirfd, const char *stored, const char *path)
{
	char value[PATH_MAX], target[3001];
	ssize_t n = readlinkat(dirfd, stored, value, sizeof(value) - 1);

	value[n < 0 ? 0 : n] = '\0';
	if (chaosimg_symlink_decrypt(archive, value, target, sizeof(target))) {
		error(path, "link");
		return;
	}
	printf("link");
	hex(path, strlen(path));
	hex(target, strlen(target));
	putchar('\n');
}

static void tell_dir(int fd, const char *path, const struct chaosimg_place *at);

static void tell_entry(int fd, const uint8_t id[CHAOSIMG_ID_SIZE],
		       const char *stored, const char *up)
{
	char name[CHAOSIMG_NAME_MAX + 1], path[PATH_MAX];
	struct chaosimg_place at;
	struct stat st;
	int err;

	err = chaosimg_name_decrypt(archive, id, fd, stored, name, at.binding);
	if (err == -ENOENT)
		return;
	snprintf(path, sizeof(path), "%s%s%s", up, *up ? "/" : "",
		 err ? stored : name);
	if (err) {
		error(path, "name");
		return;
	}
	if (fstatat(fd, stored, &st, AT_SYMLINK_NOFOLLOW))
		return;
	memcpy(at.parent, id, CHAOSIMG_ID_SIZE);
	if (S_ISDIR(st.st_mode))
		tell_dir(openat(fd, stored, O_RDONLY | O_DIRECTORY), path, &at);
	else if (S_ISLNK(st.st_mode))
		tell_link(fd, stored, path);
	else
		tell_file(fd, stored, path, at.binding);
}

/* @fd is closed. */
static void tell_dir(int fd, const char *path, const struct chaosimg_place *at)
{
	uint8_t id[CHAOSIMG_ID_SIZE];
	struct dirent *d;
	DIR *dp;

	if (chaosimg_dir_load(archive, fd, at, id)) {
		error(path, "dir");
		close(fd);
		return;
	}
	printf("dir");
	hex(path, strlen(path));
	putchar('\n');
	dp = fdopendir(fd);
	while (dp && (d = readdir(dp)))
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			tell_entry(fd, id, d->d_name, path);
	closedir(dp);
}

static void tell_archive(const char *path, char **keyfile, int keys)
{
	struct chaosimg_credential *key;
	bool told = false;

	for (int i = 0; i < keys; i++) {
		if (chaosimg_credential_keyfile(keyfile[i], &key))
			continue;
		if (chaosimg_archive_open(path, key, 0, &archive)) {
			error("", "archive");
		} else {
			printf("key %d\n", i);
			if (!told)
				tell_dir(dup(chaosimg_archive_data_fd(archive)),
					 "", NULL);
			told = true;
			chaosimg_archive_close(archive);
		}
		chaosimg_credential_free(key);
	}
}

int main(int argc, char **argv)
{
	char path[PATH_MAX];

	while (fgets(path, sizeof(path), stdin)) {
		path[strcspn(path, "\n")] = '\0';
		tell_archive(path, argv + 1, argc - 1);
		puts("end");
		fflush(stdout);
	}
	return 0;
}
