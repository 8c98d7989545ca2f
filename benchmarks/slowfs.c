/* A file system that is far away: every call is passed through to a folder after a sleep.
 *
 *     slowfs ROOT MOUNTPOINT -o meta_us=2000,data_us=500,log=FILE [fuse options]
 *
 * A metadata call (lookup, create, link, rename, unlink, ...) sleeps meta_us microseconds, a data call (read, write) sleeps
 * data_us. The kernel keeps its own rules: it holds the parent folder's lock while a name is made, for the whole round trip,
 * which is what makes a shared folder slow on a network file system; names in one folder are looked up side by side, as the
 * kernel lets other file systems do. Caching of names and attributes is off, so that no cache hides the latency. With
 * log=FILE every call that sleeps is a line in FILE: the second at which it began (of the monotonic clock), its name,
 * the path.
 */
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static struct settings { char *root; unsigned meta_us; unsigned data_us; char *log; } set = { NULL, 2000, 500, NULL };
static int root_fd;

static FILE *log_file;

static void note(const char *call, const char *path) {
    if (!log_file) return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(log_file, "%ld.%06ld %s %s\n", (long)now.tv_sec, now.tv_nsec / 1000, call + strlen("slow_"), path ? path : "-");
}
static void meta_call(const char *call, const char *path) { note(call, path); if (set.meta_us) usleep(set.meta_us); }
static void data_call(const char *call, const char *path) { note(call, path); if (set.data_us) usleep(set.data_us); }
#define meta() meta_call(__func__, path)
#define data() data_call(__func__, path)
static const char *below(const char *path) { return path[1] ? path + 1 : "."; }
static int result(int code) { return code < 0 ? -errno : 0; }

static int slow_getattr(const char *path, struct stat *st, struct fuse_file_info *fi) {
    meta();
    return result(fi ? fstat((int)fi->fh, st) : fstatat(root_fd, below(path), st, AT_SYMLINK_NOFOLLOW));
}
static int slow_readlink(const char *path, char *text, size_t size) {
    meta();
    ssize_t length = readlinkat(root_fd, below(path), text, size - 1);
    if (length < 0) return -errno;
    text[length] = '\0';
    return 0;
}
static int slow_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset, struct fuse_file_info *fi,
                        enum fuse_readdir_flags flags) {
    (void)offset; (void)fi; (void)flags;
    meta();
    int fd = openat(root_fd, below(path), O_RDONLY | O_DIRECTORY);
    if (fd < 0) return -errno;
    DIR *dir = fdopendir(fd);
    if (!dir) { close(fd); return -errno; }
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct stat st = { .st_ino = entry->d_ino, .st_mode = (mode_t)DTTOIF(entry->d_type) };
        if (fill(buffer, entry->d_name, &st, 0, 0)) break;
    }
    closedir(dir);
    return 0;
}
static int slow_mkdir(const char *path, mode_t mode) { meta(); return result(mkdirat(root_fd, below(path), mode)); }
static int slow_unlink(const char *path) { meta(); return result(unlinkat(root_fd, below(path), 0)); }
static int slow_rmdir(const char *path) { meta(); return result(unlinkat(root_fd, below(path), AT_REMOVEDIR)); }
static int slow_symlink(const char *to, const char *path) { meta(); return result(symlinkat(to, root_fd, below(path))); }
static int slow_link(const char *from, const char *path) {
    meta();
    return result(linkat(root_fd, below(from), root_fd, below(path), 0));
}
static int slow_rename(const char *from, const char *path, unsigned flags) {
    meta();
    return result(renameat2(root_fd, below(from), root_fd, below(path), flags));
}
static int slow_chmod(const char *path, mode_t mode, struct fuse_file_info *fi) {
    (void)fi; meta();
    return result(fchmodat(root_fd, below(path), mode, 0));
}
static int slow_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi) {
    (void)fi; meta();
    return result(fchownat(root_fd, below(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}
static int slow_utimens(const char *path, const struct timespec times[2], struct fuse_file_info *fi) {
    meta();
    return result(fi ? futimens((int)fi->fh, times) : utimensat(root_fd, below(path), times, AT_SYMLINK_NOFOLLOW));
}
static int slow_truncate(const char *path, off_t size, struct fuse_file_info *fi) {
    meta();
    if (fi) return result(ftruncate((int)fi->fh, size));
    int fd = openat(root_fd, below(path), O_WRONLY);
    if (fd < 0) return -errno;
    int done = result(ftruncate(fd, size));
    close(fd);
    return done;
}
static int slow_create(const char *path, mode_t mode, struct fuse_file_info *fi) {
    meta();
    int fd = openat(root_fd, below(path), fi->flags | O_CREAT, mode);
    if (fd < 0) return -errno;
    fi->fh = (uint64_t)fd;
    return 0;
}
static int slow_open(const char *path, struct fuse_file_info *fi) {
    meta();
    int fd = openat(root_fd, below(path), fi->flags);
    if (fd < 0) return -errno;
    fi->fh = (uint64_t)fd;
    return 0;
}
static int slow_read(const char *path, char *buffer, size_t size, off_t offset, struct fuse_file_info *fi) {
    data();
    ssize_t done = pread((int)fi->fh, buffer, size, offset);
    return done < 0 ? -errno : (int)done;
}
static int slow_write(const char *path, const char *buffer, size_t size, off_t offset, struct fuse_file_info *fi) {
    data();
    ssize_t done = pwrite((int)fi->fh, buffer, size, offset);
    return done < 0 ? -errno : (int)done;
}
static int slow_fsync(const char *path, int only_data, struct fuse_file_info *fi) {
    data();
    return result(only_data ? fdatasync((int)fi->fh) : fsync((int)fi->fh));
}
static int slow_release(const char *path, struct fuse_file_info *fi) { (void)path; close((int)fi->fh); return 0; }
static int slow_statfs(const char *path, struct statvfs *st) { (void)path; return result(fstatvfs(root_fd, st)); }

/* libfuse 3.14.0 wants parallel lookups and forgets to tell the kernel, which then looks up one new name of a folder at a
 * time. Its answer to INIT passes through here: the first one with a header and a body. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    static bool told = false;
    if (!told && count == 2 && parts[1].iov_len >= sizeof(struct fuse_init_out)) {
        struct fuse_init_out *answer = parts[1].iov_base;
        if (answer->major == FUSE_KERNEL_VERSION) answer->flags |= FUSE_PARALLEL_DIROPS;
        told = true;
    }
    return syscall(SYS_writev, fd, parts, count);
}

static void *slow_init(struct fuse_conn_info *connection, struct fuse_config *config) {
    (void)connection;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    config->use_ino = 1;
    return NULL;
}

static const struct fuse_operations operations = {
    .init = slow_init, .getattr = slow_getattr, .readlink = slow_readlink, .readdir = slow_readdir, .mkdir = slow_mkdir,
    .unlink = slow_unlink, .rmdir = slow_rmdir, .symlink = slow_symlink, .link = slow_link, .rename = slow_rename,
    .chmod = slow_chmod, .chown = slow_chown, .utimens = slow_utimens, .truncate = slow_truncate, .create = slow_create,
    .open = slow_open, .read = slow_read, .write = slow_write, .fsync = slow_fsync, .release = slow_release,
    .statfs = slow_statfs,
};

static int take(void *unused, const char *word, int key, struct fuse_args *rest) {
    (void)unused; (void)rest;
    if (key == FUSE_OPT_KEY_NONOPT && !set.root) { set.root = strdup(word); return 0; }
    return 1;
}

int main(int count, char **words) {
    static const struct fuse_opt options[] = {
        { "meta_us=%u", offsetof(struct settings, meta_us), 0 }, { "data_us=%u", offsetof(struct settings, data_us), 0 },
        { "log=%s", offsetof(struct settings, log), 0 }, FUSE_OPT_END
    };
    struct fuse_args arguments = FUSE_ARGS_INIT(count, words);
    if (fuse_opt_parse(&arguments, &set, options, take) < 0 || !set.root) {
        fprintf(stderr, "usage: slowfs ROOT MOUNTPOINT -o meta_us=N,data_us=N[,log=FILE]\n");
        return 2;
    }
    root_fd = open(set.root, O_RDONLY | O_DIRECTORY);
    if (root_fd < 0) { perror(set.root); return 2; }
    if (set.log && !(log_file = fopen(set.log, "we"))) { perror(set.log); return 2; }
    if (log_file) setvbuf(log_file, NULL, _IOLBF, 0);
    umask(0);
    return fuse_main(arguments.argc, arguments.argv, &operations, NULL);
}
