/// An endpoint as the hash tables see it. Equal lists make equal tables.
struct HashTarget: Hashable {
  let slot: Int32
  /// Of its address.
  let hash: UInt64
  /// At least 1.
  let weight: UInt32
}
