/* A library to preload: the wall clock of a process, and of its children, is off by what a file says.
 *
 * The file named by WALL_CLOCK holds nanoseconds as an int64_t and is read anew each time, so that who writes it moves
 * the clock of all who follow it. Monotonic clocks and what waits for a duration stay as they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static const int64_t none = 0;
static const volatile int64_t *shift = &none;

static struct timespec moved(struct timespec moment, int64_t nanoseconds) {
    int64_t sum = moment.tv_nsec + nanoseconds % SECOND;
    moment.tv_sec += nanoseconds / SECOND + (sum >= SECOND) - (sum < 0);
    moment.tv_nsec = sum - ((sum >= SECOND) - (sum < 0)) * SECOND;
    return moment;
}

/* Follow another file from now on: a test process gets one of its own. A wrong clock must not go unseen. */
void follow(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    void *there = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    if (there == MAP_FAILED) {
        perror(path);
        abort();
    }
    close(file);
    shift = there;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("WALL_CLOCK");
    if (path) follow(path);
}

int clock_gettime(clockid_t clock, struct timespec *moment) {
    int failed = syscall(SYS_clock_gettime, clock, moment);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) *moment = moved(*moment, *shift);
    return failed;
}

int gettimeofday(struct timeval *restrict moment, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    *moment = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *moment) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (moment) *moment = now.tv_sec;
    return now.tv_sec;
}

/* The kernel waits for a moment of its own clock. Pythons built for old C libraries wait for locks with it. */
int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    int (*real)(sem_t *, const struct timespec *) = dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec moment = moved(*until, -*shift);
    return real(semaphore, &moment);
}
