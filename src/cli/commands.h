/* The subcommands: main.c's table points here.  Each returns the exit status. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int cmd_record(int argc, char **argv);
int cmd_symbolize(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_leaks(int argc, char **argv);
int cmd_plugins(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_recover(int argc, char **argv);
int cmd_clean(int argc, char **argv);
int cmd_finish(int argc, char **argv);

#endif
