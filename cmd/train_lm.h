#ifndef GE_TRAIN_LM_H
#define GE_TRAIN_LM_H

/*
 * lm_main(argc, argv): `getrain lm`, argv[0] being the program and the family gone;
 * returns the exit status.
 */
int lm_main(int argc, char **argv);

#endif
