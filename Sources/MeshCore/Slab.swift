/// Values addressed by small keys that go stale when the value is removed.
///
/// A key is the place in a table plus the generation of that place, so a key of a removed value finds nothing even when
/// its place was taken again (the ABA problem). All operations are O(1); places are reused, the table never shrinks.
/// Confined to whoever owns it. Limit: 2^32 places; a place is good for 2^31 generations before keys may repeat.
public struct Slab<Value> {
  /// Names one value. The raw form fits the user data of an epoll event.
  public struct Key: Hashable, Sendable {
    public var rawValue: UInt64

    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable init(index: UInt32, generation: UInt32) {
      rawValue = UInt64(generation) << 32 | UInt64(index)
    }

    @inlinable public var index: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
    @inlinable public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) }
  }

  @usableFromInline struct Place {
    @usableFromInline var value: Value?
    @usableFromInline var generation: UInt32
    /// Next free place while this one is free.
    @usableFromInline var nextFree: UInt32

    @inlinable init(value: Value?, generation: UInt32, nextFree: UInt32) {
      self.value = value
      self.generation = generation
      self.nextFree = nextFree
    }
  }

  @usableFromInline static var none: UInt32 { .max }
  @usableFromInline var places: [Place] = []
  @usableFromInline var firstFree = UInt32.max
  /// Values held now.
  @inlinable public var count: Int { held }
  @usableFromInline var held = 0

  @inlinable public init() {}

  @inlinable public mutating func insert(_ value: Value) -> Key {
    held += 1
    if firstFree != Self.none {
      let index = firstFree
      firstFree = places[Int(index)].nextFree
      places[Int(index)].value = value
      return Key(index: index, generation: places[Int(index)].generation)
    }
    let index = UInt32(truncatingIfNeeded: places.count)
    places.append(Place(value: value, generation: 1, nextFree: Self.none))
    return Key(index: index, generation: 1)
  }

  /// Nil for a key whose value was removed, and for a key of another slab that does not fit.
  @inlinable public subscript(key: Key) -> Value? {
    let index = Int(key.index)
    guard index < places.count, places[index].generation == key.generation else { return nil }
    return places[index].value
  }

  @discardableResult
  @inlinable public mutating func remove(_ key: Key) -> Value? {
    let index = Int(key.index)
    guard index < places.count, places[index].generation == key.generation, let value = places[index].value else {
      return nil
    }
    places[index].value = nil
    // The top bit stays free, so that owners may mark raw keys.
    places[index].generation = (places[index].generation &+ 1) & 0x7FFF_FFFF
    places[index].nextFree = firstFree
    firstFree = key.index
    held -= 1
    return value
  }

  /// Calls `body` with every value, in table order. For rare sweeps such as shutdown.
  public func forEach(_ body: (Key, Value) -> Void) {
    for (index, place) in places.enumerated() {
      guard let value = place.value else { continue }
      body(Key(index: UInt32(truncatingIfNeeded: index), generation: place.generation), value)
    }
  }
}
