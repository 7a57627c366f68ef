Marks and unrealised profit of single positions are shown to who is entitled to the quotes of the listing venue; opening a day and releasing an account never forgive or repeat what was made before.
