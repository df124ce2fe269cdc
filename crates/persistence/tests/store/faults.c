// A file system that fails, put before the C library's: LD_PRELOAD names the library that tests/store/faults.rs makes of
// this. It meddles only with files below FAULT_FOLDER.
//
// FAULT_CALL (open, write, read, sync, truncate) fails from the FAULT_AT-th on, FAULT_TIMES times, with FAULT_ERROR; a
// write with FAULT_ERROR=0 is short, and the next one fails with ENOSPC. Each failure says "injected" on standard error.
//
// FAULT_LOG names a file in which every write, truncation and sync of such files is noted, with what is written to
// standard output between them, so that a loss of power can be played.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 1024
// 1 is the file of the store, 2 its log, 0 nothing of ours.
static char kinds[FILES];
static long seen;
static int record = -1;

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static const char *setting(const char *name) {
    const char *text = getenv(name);
    return text ? text : "";
}

static int fails(const char *call) {
    if (strcmp(setting("FAULT_CALL"), call) != 0) return 0;
    long at = atol(setting("FAULT_AT")), times = atol(setting("FAULT_TIMES"));
    seen++;
    if (seen < at || seen >= at + times) return 0;
    static ssize_t (*write_)(int, const void *, size_t);
    if (!write_) write_ = next("write");
    write_(2, "injected\n", 9);
    errno = atoi(setting("FAULT_ERROR"));
    return 1;
}

static int ours(int file) { return file >= 0 && file < FILES ? kinds[file] : 0; }

static void note(char what, int kind, int64_t offset, const void *bytes, uint32_t length) {
    const char *path = setting("FAULT_LOG");
    if (!*path) return;
    static int (*open_)(const char *, int, ...);
    static ssize_t (*write_)(int, const void *, size_t);
    if (!open_) open_ = next("open");
    if (!write_) write_ = next("write");
    if (record < 0) record = open_(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char head[14] = {what, (char)kind};
    memcpy(head + 2, &offset, 8);
    memcpy(head + 10, &length, 4);
    if (write_(record, head, 14) != 14 || write_(record, bytes, length) != (ssize_t)length) abort();
}

static int opened(int file, const char *path) {
    if (file < 0 || file >= FILES) return file;
    const char *folder = setting("FAULT_FOLDER");
    size_t length = strlen(path);
    kinds[file] = 0;
    if (*folder && strncmp(path, folder, strlen(folder)) == 0) {
        if (length > 3 && strcmp(path + length - 3, ".db") == 0) kinds[file] = 1;
        else if (length > 4 && strcmp(path + length - 4, "-wal") == 0) kinds[file] = 2;
        else kinds[file] = 3;
    }
    return file;
}

static int refused(const char *path) {
    const char *folder = setting("FAULT_FOLDER");
    return *folder && strncmp(path, folder, strlen(folder)) == 0 && fails("open");
}

#define OPEN(NAME)                                                                                                     \
    int NAME(const char *path, int flags, ...) {                                                                       \
        static int (*real)(const char *, int, ...);                                                                    \
        if (!real) real = next(#NAME);                                                                                 \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                        \
        va_end(rest);                                                                                                  \
        if (refused(path)) return -1;                                                                                  \
        return opened(real(path, flags, mode), path);                                                                  \
    }
OPEN(open)
OPEN(open64)

#define PWRITE(NAME, OFFSET)                                                                                           \
    ssize_t NAME(int file, const void *bytes, size_t length, OFFSET offset) {                                          \
        static ssize_t (*real)(int, const void *, size_t, OFFSET);                                                     \
        if (!real) real = next(#NAME);                                                                                 \
        static int cut;                                                                                                \
        if (ours(file) && cut) {                                                                                       \
            cut = 0;                                                                                                   \
            errno = ENOSPC;                                                                                            \
            return -1;                                                                                                 \
        }                                                                                                              \
        if (ours(file) && fails("write")) {                                                                            \
            if (errno != 0 || length < 2) return -1;                                                                   \
            cut = 1;                                                                                                   \
            length /= 2;                                                                                               \
        }                                                                                                              \
        ssize_t done = real(file, bytes, length, offset);                                                              \
        if (done > 0 && ours(file) && ours(file) < 3) note('W', ours(file), offset, bytes, (uint32_t)done);            \
        return done;                                                                                                   \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define PREAD(NAME, OFFSET)                                                                                            \
    ssize_t NAME(int file, void *bytes, size_t length, OFFSET offset) {                                                \
        static ssize_t (*real)(int, void *, size_t, OFFSET);                                                           \
        if (!real) real = next(#NAME);                                                                                 \
        if (ours(file) && fails("read")) return -1;                                                                    \
        return real(file, bytes, length, offset);                                                                      \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define SYNC(NAME)                                                                                                     \
    int NAME(int file) {                                                                                               \
        static int (*real)(int);                                                                                       \
        if (!real) real = next(#NAME);                                                                                 \
        if (ours(file) && fails("sync")) return -1;                                                                    \
        int done = real(file);                                                                                         \
        if (done == 0 && ours(file) && ours(file) < 3) note('S', ours(file), 0, "", 0);                                \
        return done;                                                                                                   \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(NAME, OFFSET)                                                                                         \
    int NAME(int file, OFFSET length) {                                                                                \
        static int (*real)(int, OFFSET);                                                                               \
        if (!real) real = next(#NAME);                                                                                 \
        if (ours(file) && fails("truncate")) return -1;                                                                \
        int done = real(file, length);                                                                                 \
        if (done == 0 && ours(file) && ours(file) < 3) note('T', ours(file), length, "", 0);                           \
        return done;                                                                                                   \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

ssize_t write(int file, const void *bytes, size_t length) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = next("write");
    if (ours(file) && fails("write")) {
        if (errno != 0) return -1;
        length = (length + 1) / 2;
    }
    ssize_t done = real(file, bytes, length);
    if (file == 1 && done > 0) note('A', 0, 0, bytes, (uint32_t)done);
    return done;
}
