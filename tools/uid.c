// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of DICOM transfer syntaxes: PS3.6, Table A-1. */
#include <string.h>

#include "tool.h"

#define ROOT "1.2.840.10008.1.2"

static const struct {
	const char *uid;
	const char *name;
} syntaxes[] = {
	{ ROOT, "Implicit VR Little Endian" },
	{ ROOT ".1", "Explicit VR Little Endian" },
	{ ROOT ".1.98", "Encapsulated Uncompressed Explicit VR Little Endian" },
	{ ROOT ".1.99", "Deflated Explicit VR Little Endian" },
	{ ROOT ".2", "Explicit VR Big Endian" },
	{ ROOT ".4.50", "JPEG Baseline (Process 1)" },
	{ ROOT ".4.51", "JPEG Extended (Process 2 & 4)" },
	{ ROOT ".4.57", "JPEG Lossless, Non-Hierarchical (Process 14)" },
	{ ROOT ".4.70", "JPEG Lossless, Non-Hierarchical, First-Order Prediction" },
	{ ROOT ".4.80", "JPEG-LS Lossless" },
	{ ROOT ".4.81", "JPEG-LS Lossy (Near-Lossless)" },
	{ ROOT ".4.90", "JPEG 2000 (Lossless Only)" },
	{ ROOT ".4.91", "JPEG 2000" },
	{ ROOT ".4.92", "JPEG 2000 Part 2 Multi-component (Lossless Only)" },
	{ ROOT ".4.93", "JPEG 2000 Part 2 Multi-component" },
	{ ROOT ".4.94", "JPIP Referenced" },
	{ ROOT ".4.95", "JPIP Referenced Deflate" },
	{ ROOT ".4.100", "MPEG2 Main Profile / Main Level" },
	{ ROOT ".4.101", "MPEG2 Main Profile / High Level" },
	{ ROOT ".4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1" },
	{ ROOT ".4.103", "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1" },
	{ ROOT ".4.104", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 2D Video" },
	{ ROOT ".4.105", "MPEG-4 AVC/H.264 High Profile / Level 4.2 for 3D Video" },
	{ ROOT ".4.106", "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2" },
	{ ROOT ".4.107", "HEVC/H.265 Main Profile / Level 5.1" },
	{ ROOT ".4.108", "HEVC/H.265 Main 10 Profile / Level 5.1" },
	{ ROOT ".4.201", "High-Throughput JPEG 2000 (Lossless Only)" },
	{ ROOT ".4.202", "High-Throughput JPEG 2000 with RPCL Options (Lossless Only)" },
	{ ROOT ".4.203", "High-Throughput JPEG 2000" },
	{ ROOT ".5", "RLE Lossless" },
};

const char *transfer_syntax_name(const char *uid)
{
	size_t i;

	for (i = 0; i < sizeof(syntaxes) / sizeof(syntaxes[0]); i++)
		if (!strcmp(uid, syntaxes[i].uid))
			return syntaxes[i].name;
	return NULL;
}
