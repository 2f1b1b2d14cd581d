/*
 * Passwords and other secrets of password.h. Called by user.c and, for those of robots, target.c. Never keeps
 * one, never takes one from the command line, where others could see it.
 */
#include "tools/ringback/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "common/passwords.h"
#include "common/utf8.h"
#include "tools/ringback/say.h"

#define INTERRUPT 3

static enum rb_err check_text(const char *what, const char *text, size_t len)
{
    if (strlen(text) != len || !rb_utf8_valid(text, len)) {
        say("the %s is no text in UTF-8", what);
        return RB_ERR_INVALID;
    }
    return RB_OK;
}

static enum rb_err check(const char *password, size_t len)
{
    enum rb_err err = check_text("password", password, len);
    if (err != RB_OK)
        return err;
    if (rb_utf8_length(password, len) < PASSWORD_LEAST) {
        say("the password is shorter than %d characters", PASSWORD_LEAST);
        return RB_ERR_INVALID;
    }
    return RB_OK;
}

/* One line from the terminal; its echo is off meanwhile, whatever ends the reading. */
static enum rb_err ask(int terminal, const char *prompt, char password[PASSWORD_SIZE])
{
    struct termios echo, silent;
    size_t len = 0;
    ssize_t n = -1;
    if (tcgetattr(terminal, &echo) != 0)
        return RB_ERR_IO;
    silent = echo;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    silent.c_cc[VEOL] = INTERRUPT; /* Ctrl-C is read, so that the echo is put back before the end */
    if (tcsetattr(terminal, TCSAFLUSH, &silent) != 0)
        return RB_ERR_IO;
    dprintf(terminal, "%s", prompt);
    while (len < PASSWORD_SIZE - 1 && (n = read(terminal, password + len, 1)) == 1 && password[len] != '\n' &&
           password[len] != INTERRUPT)
        len++;
    bool given_up = n != 1 || password[len] == INTERRUPT;
    password[len] = 0;
    dprintf(terminal, "\n");
    tcsetattr(terminal, TCSAFLUSH, &echo);
    return given_up ? RB_ERR_REFUSED : RB_OK;
}

static enum rb_err ask_twice(char password[PASSWORD_SIZE])
{
    char again[PASSWORD_SIZE];
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (terminal < 0) {
        say("there is no terminal to ask for the password: give it with --password-stdin");
        return RB_ERR_IO;
    }
    enum rb_err err = ask(terminal, "Password: ", password);
    if (err == RB_OK)
        err = check(password, strlen(password));
    if (err == RB_OK)
        err = ask(terminal, "Once more: ", again);
    close(terminal);
    if (err == RB_ERR_IO || err == RB_ERR_REFUSED)
        say("no password was given");
    if (err == RB_OK && strcmp(password, again) != 0) {
        say("these are two different passwords");
        err = RB_ERR_INVALID;
    }
    sodium_memzero(again, sizeof(again));
    return err;
}

enum rb_err secret_read(const char *what, char text[PASSWORD_SIZE])
{
    size_t len = fread(text, 1, PASSWORD_SIZE, stdin);
    if (len == PASSWORD_SIZE) {
        say("the %s is longer than %d bytes", what, PASSWORD_SIZE - 1);
        return RB_ERR_TOO_LARGE;
    }
    if (len > 0 && text[len - 1] == '\n')
        len--;
    if (len > 0 && text[len - 1] == '\r')
        len--;
    text[len] = 0;
    return check_text(what, text, len);
}

enum rb_err password_read(bool from_stdin, char password[PASSWORD_SIZE])
{
    if (!from_stdin)
        return ask_twice(password);
    enum rb_err err = secret_read("password", password);
    return err == RB_OK ? check(password, strlen(password)) : err;
}

enum rb_err password_hash(const char *password, char hash[crypto_pwhash_STRBYTES])
{
    if (crypto_pwhash_str(hash, password, strlen(password), RB_ARGON_PASSES, RB_ARGON_MEMORY) == 0)
        return RB_OK;
    say("there is no memory to hash the password");
    return RB_ERR_NOMEM;
}
