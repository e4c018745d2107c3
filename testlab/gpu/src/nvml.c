// SPDX-License-Identifier: GPL-3.0-or-later
/* Stand-in of NVIDIA's management library, for GPUs that are simulated.

   It answers what `nvidia-ctk cdi generate` and the container runtime ask of the real one, with NVML's own names
   and return codes, so that the real tools write a real CDI specification. A GPU is there if its device node is.
   VERSION (a string) is the version of the driver package that carries the library; the loaded version is read
   from /proc, and a difference is refused as the real library refuses it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9, MISMATCH = 18 };
enum { MAX_GPUS = 16, BRAND_NVIDIA = 14, ARCH_HOPPER = 9 };

typedef struct gpu { unsigned int minor; } *device_t;
typedef struct {
    char legacy_id[16];
    unsigned int domain, bus, device, device_id, subsystem_id;
    char id[32];
} pci_info_t;

static struct gpu gpus[MAX_GPUS];
static unsigned int count;

int nvmlInitWithFlags(unsigned int flags) {
    char line[256] = "", path[32];
    FILE *file = fopen("/proc/driver/nvidia/version", "r");

    (void)flags;
    if (file) {
        const char *read = fgets(line, sizeof line, file);
        fclose(file);
        if (!read || !strstr(line, "  " VERSION "  "))
            return MISMATCH;
    } else if (access("/dev/nvidiactl", F_OK) != 0) {
        return DRIVER_NOT_LOADED;
    }
    count = 0;
    for (unsigned int minor = 0; minor < MAX_GPUS; minor++) {
        snprintf(path, sizeof path, "/dev/nvidia%u", minor);
        if (access(path, F_OK) == 0)
            gpus[count++].minor = minor;
    }
    return SUCCESS;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlInit(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }

const char *nvmlErrorString(int code) {
    switch (code) {
    case SUCCESS: return "Success";
    case INVALID_ARGUMENT: return "Invalid Argument";
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case MISMATCH: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}

static int answer(char *buffer, unsigned int length, const char *text) {
    return (unsigned int)snprintf(buffer, length, "%s", text) < length ? SUCCESS : INVALID_ARGUMENT;
}

int nvmlSystemGetDriverVersion(char *version, unsigned int length) { return answer(version, length, VERSION); }
int nvmlSystemGetNVMLVersion(char *version, unsigned int length) { return answer(version, length, "12." VERSION); }

int nvmlSystemGetCudaDriverVersion(int *version) {
    *version = 12020;
    return SUCCESS;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { return nvmlSystemGetCudaDriverVersion(version); }

int nvmlDeviceGetCount_v2(unsigned int *number) {
    *number = count;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device_t *device) {
    if (index >= count)
        return INVALID_ARGUMENT;
    *device = &gpus[index];
    return SUCCESS;
}

int nvmlDeviceGetIndex(device_t device, unsigned int *index) {
    *index = (unsigned int)(device - gpus);
    return SUCCESS;
}

int nvmlDeviceGetMinorNumber(device_t device, unsigned int *minor) {
    *minor = device->minor;
    return SUCCESS;
}

int nvmlDeviceGetName(device_t device, char *name, unsigned int length) {
    (void)device;
    return answer(name, length, "NVIDIA simulated GPU");
}

/* The same that simulated-gpu and the stand-in nvidia-smi say. */
int nvmlDeviceGetUUID(device_t device, char *uuid, unsigned int length) {
    char text[48];
    snprintf(text, sizeof text, "GPU-51a1a7ed-0000-4000-8000-%012u", device->minor);
    return answer(uuid, length, text);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, device_t *device) {
    char text[48];
    for (unsigned int index = 0; index < count; index++)
        if (nvmlDeviceGetUUID(&gpus[index], text, sizeof text) == SUCCESS && strcmp(text, uuid) == 0)
            return nvmlDeviceGetHandleByIndex_v2(index, device);
    return NOT_FOUND;
}

int nvmlDeviceGetPciInfo_v3(device_t device, pci_info_t *pci) {
    memset(pci, 0, sizeof *pci);
    pci->bus = 0x41 + device->minor;
    pci->device_id = 0x233510deu;
    snprintf(pci->legacy_id, sizeof pci->legacy_id, "0000:%02X:00.0", pci->bus);
    snprintf(pci->id, sizeof pci->id, "00000000:%02X:00.0", pci->bus);
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(device_t device, unsigned long long memory[3]) {
    (void)device;
    memory[0] = memory[1] = 81920ull << 20; /* total, free, used: bytes */
    memory[2] = 0;
    return SUCCESS;
}

int nvmlDeviceGetArchitecture(device_t device, unsigned int *architecture) {
    (void)device;
    *architecture = ARCH_HOPPER;
    return SUCCESS;
}

int nvmlDeviceGetBrand(device_t device, int *brand) {
    (void)device;
    *brand = BRAND_NVIDIA;
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(device_t device, int *major, int *minor) {
    (void)device;
    *major = 9;
    *minor = 0;
    return SUCCESS;
}

/* A simulated GPU cannot be split. */
int nvmlDeviceGetMigMode(device_t device, unsigned int *current, unsigned int *pending) {
    (void)device;
    *current = *pending = 0;
    return NOT_SUPPORTED;
}

int nvmlDeviceGetMaxMigDeviceCount(device_t device, unsigned int *number) {
    (void)device;
    *number = 0;
    return SUCCESS;
}

int nvmlDeviceIsMigDeviceHandle(device_t device, unsigned int *is_mig) {
    (void)device;
    *is_mig = 0;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(device_t device, unsigned int index, device_t *mig) {
    (void)device;
    (void)index;
    (void)mig;
    return NOT_SUPPORTED;
}

int nvmlDeviceGetAddressingMode(device_t device, void *mode) {
    (void)device;
    (void)mode;
    return NOT_SUPPORTED;
}
