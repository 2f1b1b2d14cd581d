/* Tests of common/seal: made once and exclusively, refused when others may read it, damage is noticed. */
#include "common/seal.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/ringback-test-seal-XXXXXX";
static char path[100];

static int start(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/ringback-test-seal-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/state/deep/secret.key", folder);
    return 0;
}

static int remove_one(const char *name, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(name);
}

static int end(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_key(const char *text, mode_t mode)
{
    snprintf(path, sizeof(path), "%s/key", folder);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static enum rb_err open_written(const char *text, mode_t mode)
{
    struct rb_seal *seal;
    write_key(text, mode);
    enum rb_err err = rb_seal_open(path, &seal);
    if (err == RB_OK)
        rb_seal_free(seal);
    return err;
}

static int count_files(const char *where)
{
    char command[200];
    int count = -1;
    snprintf(command, sizeof(command), "ls -A '%s' | wc -l", where);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    assert_int_equal(fscanf(out, "%d", &count), 1);
    pclose(out);
    return count;
}

static void test_made_on_first_use(void **state)
{
    (void)state;
    struct rb_seal *one, *two;
    struct stat info;
    uint8_t *box;
    size_t len;
    char *text;
    assert_ok(rb_seal_open(path, &one));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_size, 65);
    char parent[100];
    snprintf(parent, sizeof(parent), "%s/state/deep", folder);
    assert_int_equal(stat(parent, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_int_equal(count_files(parent), 1); /* no draft is left */
    assert_ok(rb_seal_open(path, &two));      /* the same key again */
    assert_ok(rb_seal_close(one, "whsec_abc", &box, &len));
    assert_ok(rb_seal_reveal(two, box, len, &text));
    assert_string_equal(text, "whsec_abc");
    free(text);
    free(box);
    rb_seal_free(one);
    rb_seal_free(two);
    rb_seal_free(NULL);
}

static void test_two_makers_end_with_one_key(void **state)
{
    (void)state;
    enum { MAKERS = 8 };
    int pipes[2];
    uint8_t box[100];
    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < MAKERS; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct rb_seal *seal;
            uint8_t *sealed = NULL;
            size_t len = 0;
            if (rb_seal_open(path, &seal) != RB_OK || rb_seal_close(seal, "text", &sealed, &len) != RB_OK)
                _exit(1);
            _exit(write(pipes[1], sealed, len) == (ssize_t)len ? 0 : 1);
        }
    }
    struct rb_seal *seal;
    size_t len = 4 + 40;
    assert_ok(rb_seal_open(path, &seal));
    for (int i = 0; i < MAKERS; i++) {
        int status;
        char *text;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
        assert_int_equal(read(pipes[0], box, len), len);
        assert_ok(rb_seal_reveal(seal, box, len, &text)); /* sealed by another process */
        free(text);
    }
    rb_seal_free(seal);
    close(pipes[0]);
    close(pipes[1]);
}

static const char good_key[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n";

static void test_key_files(void **state)
{
    (void)state;
    assert_ok(open_written(good_key, 0600));
    assert_ok(open_written(good_key, 0400));
    assert_err(open_written(good_key, 0640), RB_ERR_INVALID);
    assert_err(open_written(good_key, 0604), RB_ERR_INVALID);
    assert_err(open_written(good_key, 0620), RB_ERR_INVALID);
    assert_err(open_written("", 0600), RB_ERR_INVALID);
    assert_err(open_written("\n", 0600), RB_ERR_INVALID);
    assert_err(open_written(good_key + 1, 0600), RB_ERR_INVALID);
    assert_err(open_written("0011223344556677889 aabbccddeeff00112233445566778899aabbccddeeff\n", 0600),
               RB_ERR_INVALID);
    assert_err(open_written("00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg\n", 0600),
               RB_ERR_INVALID);
    assert_err(open_written("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n\n", 0600),
               RB_ERR_INVALID);
    assert_err(open_written("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff00\n", 0600),
               RB_ERR_INVALID);
}

static void test_a_bad_file_is_left_alone(void **state)
{
    (void)state;
    char text[20] = "";
    assert_err(open_written("mine\n", 0600), RB_ERR_INVALID);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    assert_string_equal(text, "mine\n");
    close(fd);
}

static void test_what_cannot_be_a_file(void **state)
{
    (void)state;
    struct rb_seal *seal;
    assert_err(rb_seal_open(folder, &seal), RB_ERR_INVALID);
    snprintf(path, sizeof(path), "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_err(rb_seal_open(path, &seal), RB_ERR_INVALID); /* and does not wait for a writer */
    errno = 0;
    assert_err(rb_seal_open("/proc/nowhere/secret.key", &seal), RB_ERR_IO);
    assert_int_equal(errno, ENOENT);
    write_key("x", 0600);
    snprintf(path, sizeof(path), "%s/key/below", folder);
    errno = 0;
    assert_err(rb_seal_open(path, &seal), RB_ERR_IO);
    assert_int_equal(errno, ENOTDIR);
}

static void test_boxes(void **state)
{
    (void)state;
    struct rb_seal *seal, *other;
    uint8_t *box, *again;
    size_t len, again_len;
    char *text;
    assert_ok(rb_seal_open(path, &seal));
    write_key(good_key, 0600);
    assert_ok(rb_seal_open(path, &other));
    assert_ok(rb_seal_close(seal, "secret", &box, &len));
    assert_ok(rb_seal_close(seal, "secret", &again, &again_len));
    assert_int_equal(len, 24 + 16 + 6);
    assert_memory_not_equal(box, again, len); /* never twice the same bytes */
    assert_err(rb_seal_reveal(other, box, len, &text), RB_ERR_INVALID);
    for (size_t i = 0; i < len; i++) {
        box[i] ^= 1;
        assert_err(rb_seal_reveal(seal, box, len, &text), RB_ERR_INVALID);
        box[i] ^= 1;
        assert_err(rb_seal_reveal(seal, box, i, &text), RB_ERR_INVALID);
    }
    assert_ok(rb_seal_reveal(seal, box, len, &text));
    assert_string_equal(text, "secret");
    free(text);
    free(box);
    free(again);
    assert_ok(rb_seal_close(seal, "", &box, &len));
    assert_ok(rb_seal_reveal(seal, box, len, &text));
    assert_string_equal(text, "");
    free(text);
    free(box);
    rb_seal_free(seal);
    rb_seal_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_made_on_first_use, start, end),
        cmocka_unit_test_setup_teardown(test_two_makers_end_with_one_key, start, end),
        cmocka_unit_test_setup_teardown(test_key_files, start, end),
        cmocka_unit_test_setup_teardown(test_a_bad_file_is_left_alone, start, end),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_a_file, start, end),
        cmocka_unit_test_setup_teardown(test_boxes, start, end),
    };
    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
