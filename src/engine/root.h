/* root.h: the folder whose modules a store's file imports.
 *
 * It is the file's folder, as the path was given: made absolute (store_path.h), symbolic links left
 * alone. Where that folder is a package (it has an __init__.py) it is the
 * first folder above that is none: the one from which `import package.store` finds the file. */
#ifndef LZR_ENGINE_ROOT_H
#define LZR_ENGINE_ROOT_H

/* The caller's (lzr_free); NULL: no memory, or there is no current folder. Looks at the disk. */
char *lzr_root_of(const char *path);

#endif
