// SPDX-License-Identifier: GPL-3.0-or-later
/* Stand-in of NVIDIA's kernel module: what modinfo shows of it, and nothing that could be loaded. */
#define FIELD(name, text) static const char name[] __attribute__((used, section(".modinfo"), aligned(1))) = #name "=" text
FIELD(license, LICENSE);
FIELD(version, VERSION);
FIELD(name, NAME);
FIELD(description, "stand-in of a kernel module; it cannot be loaded");
FIELD(depends, "");
