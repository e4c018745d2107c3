// SPDX-License-Identifier: GPL-3.0-or-later
/* Stand-in of NVIDIA's daemons: holds the device nodes open, as they do, until it is told to end.
   The fabric manager (FABRIC_MANAGER defined) runs only with the driver of its own VERSION. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    char line[256] = "", path[32];
    FILE *file = fopen("/proc/driver/nvidia/version", "r");

    if (!file || !fgets(line, sizeof line, file)) {
        fputs("Failed to query NVIDIA devices. Please ensure that the NVIDIA device files (/dev/nvidia*) exist.\n", stderr);
        return 1;
    }
    fclose(file);
#ifdef FABRIC_MANAGER
    if (!strstr(line, "  " VERSION "  ")) {
        fputs("fabric manager version " VERSION " doesn't match the loaded driver\n", stderr);
        return 1;
    }
#endif
    open("/dev/nvidiactl", O_RDWR);
    for (int minor = 0; minor < 16; minor++) {
        snprintf(path, sizeof path, "/dev/nvidia%d", minor);
        open(path, O_RDWR); /* stays open; a node that is not there does no harm */
    }
    pause();
    return 0;
}
