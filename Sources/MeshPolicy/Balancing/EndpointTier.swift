/// Endpoints of one level of a group, among which the algorithms choose.
struct EndpointTier {
  /// Those that requests may go to.
  var part = WeightedSlots.Part()
  /// Of draws from 0 to 1, those below this and not below the tier before are the tier's.
  var bound = 1.0
  /// Requests under way there, and how many it takes before it passes them on. Only counted where there is such a number.
  var pending = 0
  var capacity = Int.max
}

/// Whom a request may go to: all endpoints of the backend, or a subset of them.
struct EndpointGroup {
  /// In the order in which they take over for each other.
  var tiers: Range<Int>
  /// Of all endpoints, and not of a subset.
  var isWhole = true
  /// Stands in for a subset of which nobody is available.
  var isFallback = false
}
