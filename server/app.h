/*
 * The daemon as a whole: the only file that knows every room, makes them, connects them and takes them down
 * again.
 */
#ifndef RB_SERVER_APP_H
#define RB_SERVER_APP_H

#include "common/config.h"

/* Runs until SIGTERM or SIGINT; config_path is read again on SIGHUP. Gives the process's exit status. */
int rb_app_run(struct rb_config *config, const char *config_path);

#endif
