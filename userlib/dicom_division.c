// SPDX-License-Identifier: GPL-2.0-or-later
/* Which compartment an attribute belongs to, and a file's list of segments. */
#include <string.h>

#include "dicom_division.h"

/* Values that are a picture, or that a picture can be computed from. */
static const struct dicom_tag_range picture[] = {
	{ 0xffffffff, 0x7fe00001 },	/* Extended Offset Table */
	{ 0xffffffff, 0x7fe00002 },	/* .. and its Lengths */
	{ 0xffffffff, 0x7fe00003 },	/* Encapsulated Pixel Data .. Length */
	{ 0xffffffff, 0x7fe00008 },	/* Float Pixel Data */
	{ 0xffffffff, 0x7fe00009 },	/* Double Float Pixel Data */
	{ 0xff00ffff, 0x7f000010 },	/* Pixel Data; Variable Pixel Data */
	{ 0xff00ffff, 0x7f000020 },	/* (Variable) Coefficients SDVN */
	{ 0xff00ffff, 0x7f000030 },	/* (Variable) Coefficients SDHN */
	{ 0xff00ffff, 0x7f000040 },	/* (Variable) Coefficients SDDN */
	{ 0xff00ffff, 0x60003000 },	/* Overlay Data */
	{ 0xffffffff, 0x56000020 },	/* Spectroscopy Data */
};

/* Not in the profile, but nobody knows what they hold or lead to. */
static const struct dicom_tag_range unknown[] = {
	{ 0xffffffff, 0x00020100 },	/* Private Information Creator UID */
	{ 0xffffffff, 0x00020102 },	/* Private Information */
	{ 0xffffffff, 0x00287fe0 },	/* Pixel Data Provider URL */
};

static bool in_ranges(uint32_t tag, const struct dicom_tag_range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((tag & r[i].mask) == r[i].value)
			return true;
	return false;
}

static bool in_profile(uint32_t tag)
{
	size_t low = 0, high = dicom_profile_tags;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (dicom_profile_tag[mid] == tag)
			return true;
		if (dicom_profile_tag[mid] < tag)
			low = mid + 1;
		else
			high = mid;
	}
	return in_ranges(tag, dicom_profile_range, dicom_profile_ranges);
}

enum chaosimg_compartment dicom_compartment(uint32_t tag)
{
	if (tag & 0x10000)	/* an odd group: private */
		return CHAOSIMG_IDENTITY;
	/* Before the profile, which lists Overlay Data too. */
	if (in_ranges(tag, picture, sizeof(picture) / sizeof(picture[0])))
		return CHAOSIMG_PIXELS;
	if (in_ranges(tag, unknown, sizeof(unknown) / sizeof(unknown[0])))
		return CHAOSIMG_IDENTITY;
	return in_profile(tag) ? CHAOSIMG_IDENTITY : CHAOSIMG_CLINICAL;
}

static void remove_segment(struct dicom_info *info, uint32_t i)
{
	info->segments--;
	memmove(&info->segment[i], &info->segment[i + 1],
		(info->segments - i) * sizeof(info->segment[0]));
}

/* Segment @i and the next one become identity, as do identity neighbours. */
static void merge_pair(struct dicom_info *info, uint32_t i)
{
	struct chaosimg_segment *s = info->segment;

	s[i].compartment = CHAOSIMG_IDENTITY;
	s[i].length += s[i + 1].length;
	remove_segment(info, i + 1);
	if (i + 1 < info->segments &&
	    s[i + 1].compartment == CHAOSIMG_IDENTITY) {
		s[i].length += s[i + 1].length;
		remove_segment(info, i + 1);
	}
	if (i && s[i - 1].compartment == CHAOSIMG_IDENTITY) {
		s[i - 1].length += s[i].length;
		remove_segment(info, i);
	}
}

static uint64_t hidden_by_merge(const struct chaosimg_segment *s)
{
	return s->compartment == CHAOSIMG_IDENTITY ? 0 : s->length;
}

static void merge_cheapest(struct dicom_info *info)
{
	const struct chaosimg_segment *s = info->segment;
	uint64_t cheapest = UINT64_MAX;
	uint32_t best = 0;

	for (uint32_t i = 0; i + 1 < info->segments; i++) {
		uint64_t cost = hidden_by_merge(&s[i]) +
				hidden_by_merge(&s[i + 1]);

		if (cost < cheapest) {
			cheapest = cost;
			best = i;
		}
	}
	merge_pair(info, best);
}

static bool extends_last(const struct dicom_info *info,
			 enum chaosimg_compartment compartment)
{
	return info->segments &&
	       info->segment[info->segments - 1].compartment == compartment;
}

void dicom_division_mark(struct dicom_division *d, uint64_t until,
			 enum chaosimg_compartment compartment)
{
	struct dicom_info *info = d->info;
	uint64_t length;

	if (until <= d->done)
		return;
	length = until - d->done;
	d->done = until;
	if (!extends_last(info, compartment) &&
	    info->segments == CHAOSIMG_SEGMENTS_MAX)
		merge_cheapest(info);
	if (extends_last(info, compartment)) {
		info->segment[info->segments - 1].length += length;
		return;
	}
	info->segment[info->segments].length = length;
	info->segment[info->segments].compartment = compartment;
	info->segments++;
}

void dicom_division_hide_last(struct dicom_info *info)
{
	struct chaosimg_segment *s = info->segment + info->segments;

	if (!info->segments || s[-1].compartment != CHAOSIMG_PIXELS)
		return;
	s[-1].compartment = CHAOSIMG_IDENTITY;
	if (info->segments > 1 && s[-2].compartment == CHAOSIMG_IDENTITY) {
		s[-2].length += s[-1].length;
		info->segments--;
	}
}
