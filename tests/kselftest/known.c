// SPDX-License-Identifier: GPL-2.0-or-later
/* known NAME: asks the kernel for an algorithm, as a consumer does. */
#include <string.h>
#include <unistd.h>

#include "alg.h"
#include "tap.h"

int main(int argc, char **argv)
{
	int transform = alg_transform(argc > 1 ? argv[1] : "chaosimg");

	if (transform >= 0)
		return 0;
	puts(strerror(-transform));
	return 1;
}
