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

static void remove_segments(struct dicom_info *info, uint32_t i, uint32_t n)
{
	info->segments -= n;
	memmove(&info->segment[i], &info->segment[i + n],
		(info->segments - i) * sizeof(info->segment[0]));
}

static uint64_t hidden_by_merge(const struct chaosimg_segment *s)
{
	return s->compartment == CHAOSIMG_IDENTITY ? 0 : s->length;
}

/* What merging @i with the next one would hide. */
static uint64_t cost(const struct dicom_division *d, uint32_t i)
{
	const struct chaosimg_segment *s = d->info->segment + i;

	return hidden_by_merge(&s[0]) + hidden_by_merge(&s[1]);
}

static void note_cost(struct dicom_division *d, uint32_t i)
{
	uint64_t c = cost(d, i);

	if (c < d->least || (c == d->least && i < d->from)) {
		d->least = c;
		d->from = i;
	}
}

/* Segment @i is not what it was. Until the first merge, nobody wants to know. */
static void changed(struct dicom_division *d, uint32_t i)
{
	if (!d->least)
		return;
	if (i + 1 < d->info->segments)
		note_cost(d, i);
	if (i)
		note_cost(d, i - 1);
}

/* Segment @i and the next one become identity, with identity neighbours. */
static void merge_pair(struct dicom_division *d, uint32_t i)
{
	struct chaosimg_segment *s = d->info->segment;
	uint32_t end = i + 2;

	if (end < d->info->segments && s[end].compartment == CHAOSIMG_IDENTITY)
		end++;
	if (i && s[i - 1].compartment == CHAOSIMG_IDENTITY)
		i--;
	s[i].compartment = CHAOSIMG_IDENTITY;
	for (uint32_t k = i + 1; k < end; k++)
		s[i].length += s[k].length;
	remove_segments(d->info, i + 1, end - i - 1);
	changed(d, i);
}

/* Most costs are those of a short header, and so the least one stays. */
static void merge_cheapest(struct dicom_division *d)
{
	uint32_t pairs = d->info->segments - 1;

	if (!d->least)
		d->from = pairs;
	while (d->from < pairs && cost(d, d->from) != d->least)
		d->from++;
	if (d->from == pairs) {
		d->least = UINT64_MAX;
		for (uint32_t i = 0; i < pairs; i++)
			note_cost(d, i);
	}
	merge_pair(d, d->from);
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
	/* The last one may have been hidden. */
	if (info->segments)
		changed(d, info->segments - 1);
	if (!extends_last(info, compartment) &&
	    info->segments == CHAOSIMG_SEGMENTS_MAX)
		merge_cheapest(d);
	if (extends_last(info, compartment)) {
		info->segment[info->segments - 1].length += length;
	} else {
		info->segment[info->segments].length = length;
		info->segment[info->segments].compartment = compartment;
		info->segments++;
	}
	changed(d, info->segments - 1);
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
