#ifndef GE_FAMILIES_H
#define GE_FAMILIES_H

/*
 * The families of getrain, argv[0] being the program and the family gone; each
 * returns the exit status.
 */
int lm_main(int argc, char **argv);
int monitor_main(int argc, char **argv);
int trees_main(int argc, char **argv);

#endif
