/** The words of table definitions that differ between databases. */
export interface Ddl {
  text: string;
  int: string;
  /** What follows a table's closing bracket. */
  table: string;
  /** The same for a table that is kept in the order of its primary key: rows read together lie together. */
  keyed: string;
}
