// SPDX-License-Identifier: GPL-3.0-or-later
/* Stand-in of those of the driver's libraries that nobody calls in the tests: it is only found and mounted. */
const char stand_in[] = "stand-in of the driver's library " NAME " " VERSION;
