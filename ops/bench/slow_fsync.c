/* Delays fdatasync and fsync by 2 ms, as a disk that is further away does. Loaded before the C library. */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void delay(void) {
    struct timespec two_milliseconds = {0, 2000000};
    nanosleep(&two_milliseconds, 0);
}

int fdatasync(int descriptor) {
    delay();
    return (int)syscall(SYS_fdatasync, descriptor);
}

int fsync(int descriptor) {
    delay();
    return (int)syscall(SYS_fsync, descriptor);
}
